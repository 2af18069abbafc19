"""anomalib's PatchCore: a bank of normal patches that covers the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Bank, raw
from .options import FIT_IMAGES_MEANING, Backbone, BackboneOptions, Layers

adbench_api = 1


class PatchCoreOptions(BackboneOptions):
    """Defaults are anomalib's, but for ``fit_images``, which it has not."""

    backbone: Backbone = Field("wide_resnet50_2", description="timm's name of the frozen ResNet")
    layers: Layers = Field("layer2,layer3", description="stages whose features are put side by side")
    coreset: float = Field(0.1, gt=0, le=1, description="share of the patches that is kept")
    neighbours: int = Field(9, ge=1, le=1000, description="patches of the bank by which a score is weighted; 1 = unweighted")
    fit_images: int = Field(200, ge=1, le=1_000_000, description=FIT_IMAGES_MEANING)


class PatchCore(Bank):
    """Distance of the patch that is farthest from the bank, weighted."""

    frozen = "feature_extractor.feature_extractor"

    def make(self, options: PatchCoreOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.patchcore import Patchcore

        return Patchcore(
            backbone=options.backbone,
            layers=options.layers.split(","),
            pre_trained=False,
            coreset_sampling_ratio=options.coreset,
            num_neighbors=options.neighbours,
            **raw(Patchcore, size),
        )


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PatchCore."""
    register(
        ModelSpec(
            name="anomalib-patchcore",
            title="PatchCore (anomalib)",
            build=PatchCore,
            paper="Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection. CVPR 2022.",
            url="https://arxiv.org/abs/2106.08265",
            family="feature bank",
            description="Patches of normal images, as an ImageNet ResNet describes them; an image is abnormal by its patch farthest from all.",
            training_phase="Patch features of the training images, thinned greedily to a tenth that covers the others.",
            testing_phase="Each patch is looked for in the bank.",
            score="Distance of the farthest patch to its nearest in the bank, weighted by how rare that one is.",
            options=PatchCoreOptions,
            revision=1,
        )
    )
