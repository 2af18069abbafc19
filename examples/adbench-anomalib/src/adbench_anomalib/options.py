"""Options that several models have."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from adbench_harness.api import Options

STAGES: Final = ("layer1", "layer2", "layer3", "layer4")
"""Of a ResNet; their strides are 4, 8, 16 and 32."""


def _there(source: str | Path) -> str | Path:
    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"no such file: {source}")
    return source.absolute() if isinstance(source, Path) else source


def _in_order(words: str) -> str:
    names = [name.strip() for name in words.split(",")]
    if not set(names) <= set(STAGES) or names != sorted(set(names)):
        raise ValueError(f"some of {', '.join(STAGES)}, in this order, each once, with commas between")
    return ",".join(names)


Source = Annotated[Literal["imagenet", "random"] | Path, AfterValidator(_there)]
"""Where the backbone's weights come from: by name, or the path of a state dict that is there."""
Layers = Annotated[str, AfterValidator(_in_order)]
"""Stages of a ResNet, with commas between."""
Stage = Literal["layer1", "layer2", "layer3", "layer4"]
Backbone = Literal["resnet18", "resnet50", "wide_resnet50_2"]
"""Names of timm."""

INSTALLED: Final = version("anomalib")
FIT_IMAGES_MEANING: Final = (
    "training images that are looked at, drawn at random if there are more: their features are all kept until the end"
)


class AnomalibOptions(Options):
    """Base of all. anomalib's version is an option so that it is part of a run's identity: another one may give other scores."""

    anomalib: str = Field(INSTALLED, description="the version of anomalib: the one that is installed, and no other")


class BackboneOptions(AnomalibOptions):
    """Of a model that looks at features of a frozen ResNet. Subclasses add ``backbone``, since not every model takes every one."""

    weights: Source = Field(
        "imagenet",
        description="of the backbone: imagenet (timm's own for that name, downloaded), random, or the path of a state dict",
    )
