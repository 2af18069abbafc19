"""anomalib's Reverse Distillation: a decoder that gives an encoder's features back through a bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Learner, raw
from .options import Backbone, BackboneOptions

adbench_api = 1


class ReverseDistillationOptions(BackboneOptions):
    """Defaults are anomalib's."""

    backbone: Backbone = Field("wide_resnet50_2", description="timm's name of the encoder; the decoder mirrors it")
    combine: Literal["add", "multiply"] = Field("add", description="how the maps of the three stages become one")


class ReverseDistillation(Learner):
    """Largest disagreement of encoder and decoder over the smoothed map."""

    smallest = 64  # at 32 the bottleneck is a single pixel, and batch normalisation needs more than one value
    epochs = 200
    frozen = "encoder.feature_extractor"

    def make(self, options: ReverseDistillationOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.reverse_distillation import ReverseDistillation as Module
        from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode

        mode = AnomalyMapGenerationMode(options.combine)
        return Module(backbone=options.backbone, anomaly_map_mode=mode, pre_trained=False, **raw(Module, size))


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register Reverse Distillation."""
    register(
        ModelSpec(
            name="anomalib-reverse-distillation",
            title="Reverse Distillation (anomalib)",
            build=ReverseDistillation,
            paper="Deng, Li: Anomaly Detection via Reverse Distillation from One-Class Embedding. CVPR 2022.",
            url="https://arxiv.org/abs/2201.10703",
            family="knowledge distillation",
            description="A decoder learns to give an ImageNet ResNet's features back through a narrow code; abnormal ones it can't.",
            training_phase="Bottleneck and decoder learn to give the encoder's features at three stages back.",
            testing_phase="Encoder and decoder see the image; their features are compared at each position.",
            score="Maximum over the image of the smoothed sum, over three stages, of 1 - cosine similarity.",
            options=ReverseDistillationOptions,
            revision=1,
        )
    )
