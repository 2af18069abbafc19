"""anomalib's FastFlow: normalising flows on deep features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Learner, raw
from .options import BackboneOptions

adbench_api = 1


class FastFlowOptions(BackboneOptions):
    """Defaults are anomalib's."""

    backbone: Literal["resnet18", "wide_resnet50_2"] = Field("resnet18", description="timm's name of the frozen ResNet")
    steps: int = Field(8, ge=1, le=64, description="coupling blocks of each flow")
    hidden_ratio: float = Field(1.0, gt=0, le=8, description="channels inside a block, in units of those outside")


class FastFlow(Learner):
    """Largest unlikelihood over the map, which is from -1 (likely) to 0."""

    epochs = 500
    frozen = "feature_extractor"

    def make(self, options: FastFlowOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.fastflow import Fastflow

        return Fastflow(
            backbone=options.backbone,
            pre_trained=False,
            flow_steps=options.steps,
            hidden_ratio=options.hidden_ratio,
            **raw(Fastflow, size),
        )

    def raised(self, values: Tensor) -> Tensor:
        """The map is -exp(...); adbench's begins at 0."""
        return values + 1


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register FastFlow."""
    register(
        ModelSpec(
            name="anomalib-fastflow",
            title="FastFlow (anomalib)",
            build=FastFlow,
            paper=(
                "Yu, Zheng, Wang, Li, Wu, Zhao, Wu: FastFlow: Unsupervised Anomaly Detection and Localization via 2D Normalizing Flows. "
                "2021."
            ),
            url="https://arxiv.org/abs/2111.07677",
            family="normalising flow",
            description="Flows turn features of normal images into Gaussian noise; what they turn into something unlikely is abnormal.",
            training_phase="A flow at each of three stages of a frozen ResNet learns the likelihood of normal features.",
            testing_phase="The image's features pass the flows.",
            score="Maximum over the image of the mean, over three stages, of minus the likelihood of the flow's output.",
            options=FastFlowOptions,
            revision=1,
        )
    )
