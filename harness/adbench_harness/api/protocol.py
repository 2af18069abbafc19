"""What a protocol is: the rules under which detectors are compared."""

from __future__ import annotations

import hashlib
from collections import defaultdict
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
    images_presented: int | None = Field(
        None, ge=1, le=1_000_000_000, description="training images presented, summed over phases; unset = the model's own length"
    )
    train_size: int | None = Field(
        None, ge=1, le=1_000_000_000, description="so many of the training images, for a learning curve; unset = all"
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


def units(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """What must not fall on both sides of a split: ids of samples that hang together by group or cluster, directly or through others.

    Each unit is sorted, and so is the list, by the first id; what groups and clusters are called has no influence.
    """
    parent = {sample.id: sample.id for sample in samples}
    first: dict[tuple[str, str], str] = {}
    for sample in samples:
        for kind, name in (("group", sample.group), ("cluster", sample.cluster)):
            if name is not None:
                ends = _root(parent, sample.id), _root(parent, first.setdefault((kind, name), sample.id))
                parent[max(ends)] = min(ends)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for sample_id in sorted(parent):
        found[_root(parent, sample_id)].append(sample_id)
    return [tuple(unit) for unit in found.values()]


def _root(parent: dict[str, str], sample_id: str) -> str:
    """The lowest id that a sample is known to hang together with; the way there is shortened."""
    while parent[sample_id] != sample_id:
        parent[sample_id] = parent[parent[sample_id]]
        sample_id = parent[sample_id]
    return sample_id
