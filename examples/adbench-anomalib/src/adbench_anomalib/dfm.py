"""anomalib's DFM: principal components of deep features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from adbench_harness.api import BuildContext, ModelSpec, OptionError, hookimpl

from .bridge import Bank, raw
from .options import FIT_IMAGES_MEANING, Backbone, BackboneOptions, Stage

adbench_api = 1


class DFMOptions(BackboneOptions):
    """Defaults are anomalib's, but for ``fit_images``, which it has not."""

    backbone: Backbone = Field("resnet50", description="timm's name of the frozen ResNet")
    layer: Stage = Field("layer3", description="stage whose features are looked at")
    pooling: int = Field(4, ge=1, le=64, description="side of the squares over which features are averaged first")
    variance: float = Field(0.97, gt=0, lt=1, description="share of the training features' variance that the components keep")
    fit_images: int = Field(2000, ge=2, le=1_000_000, description=FIT_IMAGES_MEANING)


class DFM(Bank):
    """Squared distance of the features to the subspace of the training features."""

    fewest = 2
    frozen = "feature_extractor.feature_extractor"

    def __init__(self, options: DFMOptions, context: BuildContext) -> None:
        side = context.image_size // 2 ** (int(options.layer[len("layer")]) + 1)
        if side < options.pooling:
            raise OptionError(
                f"{options.layer} of images of {context.image_size} pixels has {side} x {side} features, fewer than pooling={options.pooling}; "
                "lower it with --set pooling=N"
            )
        super().__init__(options, context)

    def make(self, options: DFMOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module, with the score that it calls ``fre``: the other, a likelihood, ends in an error in 2.7.0."""
        from anomalib.models.image.dfm import Dfm

        return Dfm(
            backbone=options.backbone,
            layer=options.layer,
            pre_trained=False,
            pooling_kernel_size=options.pooling,
            pca_level=options.variance,
            score_type="fre",
            **raw(Dfm, size),
        )


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register DFM."""
    register(
        ModelSpec(
            name="anomalib-dfm",
            title="DFM (anomalib)",
            build=DFM,
            paper="Ahuja, Ndiour, Kalyanpur, Tickoo: Probabilistic Modeling of Deep Features for Out-of-Distribution and Adversarial Detection. 2019.",
            url="https://arxiv.org/abs/1909.11786",
            family="feature distribution",
            description="Deep features of normal images lie near a subspace; an image is abnormal by how far off its own are.",
            training_phase="Principal components of the training images' features at one stage of a frozen ResNet.",
            testing_phase="The image's features are projected on the components.",
            score="Squared distance between the features and their projection.",
            options=DFMOptions,
            revision=1,
        )
    )
