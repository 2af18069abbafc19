"""anomalib's PatchFlow: one small normalising flow on features of several scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Learner, raw
from .options import BackboneOptions

adbench_api = 1


class PatchFlowOptions(BackboneOptions):
    """Defaults are anomalib's."""

    backbone: Literal["resnet18", "resnet50", "wide_resnet50_2", "tf_efficientnet_b5"] = Field(
        "tf_efficientnet_b5", description="timm's name of the frozen network"
    )
    steps: int = Field(1, ge=1, le=64, description="coupling blocks of the flow")
    features: int = Field(128, ge=2, le=4096, description="features that the adaptor makes of all scales")
    hidden: int = Field(128, ge=1, le=4096, description="channels inside a block")
    scales: int = Field(3, ge=1, le=4, description="sizes in which the image is looked at, each half of the one before")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="of Adam")


class PatchFlow(Learner):
    """Largest unlikelihood over the map, which is from -1 (likely) to 0."""

    epochs = 200  # of anomalib's example
    frozen = "feature_extractor.feature_extractor"

    def make(self, options: PatchFlowOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.patchflow import Patchflow

        return Patchflow(
            backbone=options.backbone,
            pre_trained=False,
            flow_steps=options.steps,
            flow_feature_dim=options.features,
            flow_hidden_dim=options.hidden,
            num_scales=options.scales,
            lr=options.learning_rate,
            **raw(Patchflow, size),
        )

    def raised(self, values: Tensor) -> Tensor:
        """The map is -exp(...); adbench's begins at 0."""
        return values + 1


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PatchFlow."""
    register(
        ModelSpec(
            name="anomalib-patchflow",
            title="PatchFlow (anomalib)",
            build=PatchFlow,
            paper="PatchFlow: Leveraging a Flow-Based Model with Patch Features. arXiv:2602.05238, 2026.",
            url="https://arxiv.org/abs/2602.05238",
            family="normalising flow",
            description="A flow turns features of normal images, at several scales, into Gaussian noise; what becomes unlikely is abnormal.",
            training_phase="An adaptor and a flow learn the likelihood of a frozen network's features of normal images.",
            testing_phase="The image's features pass adaptor and flow.",
            score="Maximum over the image of minus the likelihood of the flow's output.",
            options=PatchFlowOptions,
            revision=1,
        )
    )
