"""Which test images are, by an audit, duplicates of images that a detector learnt from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import BaseModel, ValidationError

from ..metrics.groups import connected

Links = Mapping[str, Sequence[str]]
"""Each image of a set of duplicates to the whole set."""


class _Pair(BaseModel):
    first: str
    second: str


class _Duplicates(BaseModel):
    pixel_equal: list[list[str]]
    near: list[_Pair]


class _Audit(BaseModel):
    duplicates: _Duplicates


def links(audit: bytes) -> Links | None:
    """Sets of duplicates that an audit file lists: equal pixels, and near duplicates; None if it can't be read."""
    try:
        found = _Audit.model_validate_json(audit).duplicates
    except ValidationError:
        return None
    pairs: list[tuple[str, str]] = [(group[0], other) for group in found.pixel_equal for other in group[1:]]
    pairs += [(pair.first, pair.second) for pair in found.near]
    return {image: group for group in connected(pairs) for image in group}


def leaking(tested: Iterable[str], among: Links, learnt: Collection[str]) -> set[str]:
    """Those of the tested images that a learnt one is a duplicate of."""
    return {image for image in tested if any(other in learnt for other in among.get(image, ()))}
