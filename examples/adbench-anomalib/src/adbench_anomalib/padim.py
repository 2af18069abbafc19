"""anomalib's PaDiM: a Gaussian of deep features at each position of the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import Field

from adbench_harness.api import BuildContext, ModelSpec, OptionError, hookimpl

from .bridge import Bank, raw
from .options import FIT_IMAGES_MEANING, BackboneOptions, Layers

adbench_api = 1

FEATURES: Final = {"resnet18": 100, "wide_resnet50_2": 550}
"""What anomalib takes of each backbone."""
LARGEST: Final = 2**31
"""Bytes that all covariances may take; while fitting they are there about three times."""


class PaDiMOptions(BackboneOptions):
    """Defaults are anomalib's, but for ``fit_images``, which it has not."""

    backbone: Literal["resnet18", "wide_resnet50_2"] = Field("resnet18", description="timm's name of the frozen ResNet")
    layers: Layers = Field("layer1,layer2,layer3", description="stages whose features are put side by side")
    features: int | None = Field(
        None, ge=1, le=3840, description="features kept, drawn at random; unset = 100 of resnet18, 550 of wide_resnet50_2"
    )
    fit_images: int = Field(2000, ge=2, le=1_000_000, description=FIT_IMAGES_MEANING)


class PaDiM(Bank):
    """Largest Mahalanobis distance over the smoothed map."""

    fewest = 2
    frozen = "feature_extractor.feature_extractor"

    def __init__(self, options: PaDiMOptions, context: BuildContext) -> None:
        stride = 2 ** (int(options.layers[len("layer")]) + 1)
        kept = options.features or FEATURES[options.backbone]
        if (size := 4 * kept**2 * (context.image_size // stride) ** 2) > LARGEST:
            raise OptionError(
                f"{kept} features at images of {context.image_size} pixels make covariances of {size / 2**30:.1f} GiB, more than "
                f"{LARGEST / 2**30:g}; lower features"
            )
        super().__init__(options, context)

    def make(self, options: PaDiMOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.padim import Padim

        return Padim(
            backbone=options.backbone,
            layers=options.layers.split(","),
            pre_trained=False,
            n_features=options.features,
            **raw(Padim, size),
        )


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register PaDiM."""
    register(
        ModelSpec(
            name="anomalib-padim",
            title="PaDiM (anomalib)",
            build=PaDiM,
            paper=(
                "Defard, Setkov, Loesch, Audigier: PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization. "
                "ICPR Workshops 2020."
            ),
            url="https://arxiv.org/abs/2011.08785",
            family="feature distribution",
            description="At each position, normal features of an ImageNet ResNet are a Gaussian; far from it, the image is abnormal.",
            training_phase="Mean and covariance of features, drawn at random from three stages, at each position of the training images.",
            testing_phase="The image's features at each position are compared with the Gaussian there.",
            score="Maximum over the image of the smoothed Mahalanobis distances.",
            options=PaDiMOptions,
            revision=1,
        )
    )
