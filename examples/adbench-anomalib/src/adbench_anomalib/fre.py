"""anomalib's FRE: a linear autoencoder of deep features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import Field

from adbench_harness.api import BuildContext, ModelSpec, OptionError, hookimpl

from .bridge import Learner, raw
from .options import Backbone, BackboneOptions, Stage

adbench_api = 1

CHANNELS: Final = {"resnet18": (64, 128, 256, 512), "resnet50": (256, 512, 1024, 2048), "wide_resnet50_2": (256, 512, 1024, 2048)}
"""Of the four stages."""


class FREOptions(BackboneOptions):
    """Defaults are anomalib's."""

    backbone: Backbone = Field("resnet50", description="timm's name of the frozen ResNet")
    layer: Stage = Field("layer3", description="stage whose features are looked at")
    pooling: int = Field(2, ge=1, le=64, description="side of the squares over which features are averaged first")
    code: int = Field(220, ge=1, le=4096, description="numbers that all features of an image are squeezed into")


class FRE(Learner):
    """Squared difference between the features and what is given back."""

    epochs = 100  # ours
    frozen = "feature_extractor.feature_extractor"

    def __init__(self, options: FREOptions, context: BuildContext) -> None:
        stage = int(options.layer[len("layer")])
        side = context.image_size // 2 ** (stage + 1) // options.pooling
        if side < 1:
            raise OptionError(
                f"{options.layer} of images of {context.image_size} pixels has fewer features a side than pooling={options.pooling}; "
                "lower it with --set pooling=N"
            )
        self.length = CHANNELS[options.backbone][stage - 1] * side**2
        super().__init__(options, context)

    def make(self, options: FREOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module, for as many features as images of this size have."""
        from anomalib.models.image.fre import Fre

        return Fre(
            backbone=options.backbone,
            layer=options.layer,
            pre_trained=False,
            pooling_kernel_size=options.pooling,
            input_dim=self.length,
            latent_dim=options.code,
            **raw(Fre, size),
        )


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register FRE."""
    register(
        ModelSpec(
            name="anomalib-fre",
            title="FRE (anomalib)",
            build=FRE,
            paper="Ndiour, Ahuja, Genc, Tickoo: FRE: A Fast Method For Anomaly Detection And Segmentation. BMVC 2023.",
            url="https://papers.bmvc2023.org/0614.pdf",
            family="reconstruction",
            description="A linear autoencoder learns the features of normal images; those of abnormal ones it gives back badly.",
            training_phase="An autoencoder with tied weights learns to give the features at one stage of a frozen ResNet back.",
            testing_phase="The image's features are given back.",
            score="Squared difference between the features and what is given back, summed.",
            options=FREOptions,
            revision=1,
        )
    )
