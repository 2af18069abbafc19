"""anomalib's STFPM: a student that learns a teacher's features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Learner, raw
from .options import Backbone, BackboneOptions, Layers

adbench_api = 1


class STFPMOptions(BackboneOptions):
    """Defaults are anomalib's. ``weights`` are the teacher's; the student starts with random ones."""

    backbone: Backbone = Field("resnet18", description="timm's name of teacher and student")
    layers: Layers = Field("layer1,layer2,layer3", description="stages that are compared")


class STFPM(Learner):
    """Largest product, over positions, of the stages' disagreements."""

    epochs = 100
    frozen = "teacher_model.feature_extractor"

    def make(self, options: STFPMOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.stfpm import Stfpm

        return Stfpm(backbone=options.backbone, layers=options.layers.split(","), **raw(Stfpm, size))


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register STFPM."""
    register(
        ModelSpec(
            name="anomalib-stfpm",
            title="STFPM (anomalib)",
            build=STFPM,
            paper="Wang, Han, Ding, Huang: Student-Teacher Feature Pyramid Matching for Anomaly Detection. BMVC 2021.",
            url="https://arxiv.org/abs/2103.04257",
            family="knowledge distillation",
            description="A student learns an ImageNet ResNet's features on normal images; where the two disagree, the image is abnormal.",
            training_phase="The student learns to give the teacher's normalised features at three stages.",
            testing_phase="Teacher and student see the image; their features are compared at each position.",
            score="Maximum over the image of the product of the stages' squared differences.",
            options=STFPMOptions,
            revision=1,
        )
    )
