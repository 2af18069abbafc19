"""What a protocol is: the rules under which detectors are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .dataset import Sample

Subset = Literal["train", "held_out", "test"]


class FitRules(BaseModel):
    """Everything that decides what a detector learns and scores; a change makes scores that can't be compared.

    The fields can be overridden with ``--set``; such a run is off-protocol: stored, shown as such, never ranked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(128, ge=16, le=1024, description="height and width in pixels after preparation")
    resize: Literal["stretch"] = Field("stretch", description="both sides to image_size, aspect ratio not kept")
    resize_filter: Literal["bilinear", "bicubic", "lanczos"] = Field("bilinear", description="with antialiasing (Pillow)")
    colour: Literal["rgb", "gray"] = Field("rgb", description="every file is converted alike")
    batch_size: int = Field(32, ge=1, le=4096, description="images a training step")
    epochs: int | None = Field(
        None, ge=1, le=100_000, description="length of every training phase; unset = the model's own default"
    )
    precision: Literal["float32", "float64"] = Field("float32", description="dtype of images and networks")


class EvaluationRules(BaseModel):
    """What is computed from stored scores; a change re-evaluates and trains nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: tuple[str, ...]
    """Names of threshold rules."""
    metrics_version: int = 1


@dataclass(frozen=True)
class ProtocolSpec:
    """A protocol as the harness, the command line and the site know it."""

    name: str
    version: int
    title: str
    description: str
    fit: FitRules
    evaluation: EvaluationRules
    split_rule: str
    """The rule in words; part of the fit digest."""
    assign: Callable[[str, Sequence[Sample], int], Mapping[str, Subset]]
    """(dataset name, samples, split) to sample id -> subset; a sample may be in none."""
    split_counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(training normals, test normals) a dataset, where the protocol fixes them; part of the fit digest."""
    splits: int = 1
    """Number of published splits."""
    seeds: tuple[int, ...] = (0,)
    """Seeds that a complete result has."""
    reference: str = ""
    needs_clusters: bool = False
    """Whether ``assign`` gets samples with their ``cluster`` of equal pixels, for which every image is decoded once."""


def hash_order(keys: Sequence[str], *salt: str | int) -> list[str]:
    """Keys sorted by SHA-256 of (salt | key): looks random, and is the same on every platform and version."""
    prefix = "|".join(str(part) for part in salt)
    return sorted(keys, key=lambda key: hashlib.sha256(f"{prefix}|{key}".encode()).digest())
