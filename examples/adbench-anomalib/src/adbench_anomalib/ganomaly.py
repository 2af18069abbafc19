"""anomalib's GANomaly: an autoencoder with a second encoder, against a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from adbench_harness.api import ModelSpec, hookimpl

from .bridge import Learner, raw
from .options import AnomalibOptions

adbench_api = 1


class GANomalyOptions(AnomalibOptions):
    """Defaults are anomalib's."""

    width: int = Field(64, ge=1, le=512, description="channels of the first layer")
    code: int = Field(100, ge=1, le=4096, description="numbers that an image is squeezed into")
    adversarial_weight: int = Field(1, ge=0, le=1000, description="of the discriminator's judgement in the generator's loss")
    image_weight: int = Field(50, ge=0, le=1000, description="of the difference of image and reconstruction in it")
    code_weight: int = Field(1, ge=0, le=1000, description="of the difference of their codes in it")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="of both optimisers (Adam)")


class GANomaly(Learner):
    """Difference of the codes of image and reconstruction, in eval mode: a score depends on its image alone."""

    epochs = 15

    def make(self, options: GANomalyOptions, size: tuple[int, int]) -> Any:
        """Anomalib's module."""
        from anomalib.models.image.ganomaly import Ganomaly

        return Ganomaly(
            n_features=options.width,
            latent_vec_size=options.code,
            wadv=options.adversarial_weight,
            wcon=options.image_weight,
            wenc=options.code_weight,
            lr=options.learning_rate,
            **raw(Ganomaly, size),
        )


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register GANomaly."""
    register(
        ModelSpec(
            name="anomalib-ganomaly",
            title="GANomaly (anomalib)",
            build=GANomaly,
            paper="Akcay, Atapour-Abarghouei, Breckon: GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training. ACCV 2018.",
            url="https://arxiv.org/abs/1805.06725",
            family="GAN",
            description="An autoencoder learns to give normal images and their codes back; abnormal ones get another code.",
            training_phase="Generator (encoder, decoder, encoder) and discriminator learn in turn.",
            testing_phase="The image and its reconstruction are encoded.",
            score="Mean squared difference of the two codes.",
            options=GANomalyOptions,
            revision=1,
        )
    )
