"""The atlas of a dataset: its views, and pictures of the images that stand in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ..images.pictures import Source, picture_path
from ..tables import Board
from .gather import views
from .summary import Summary


@dataclass(frozen=True)
class Atlas:
    """All that the site shows of a dataset, image by image."""

    summaries: Sequence[Summary]
    pictures: Mapping[str, bytes]
    """JPEG by place in the site."""


def collect(db: duckdb.DuckDBPyConnection, boards: Sequence[Board], dataset: str, source: Source | None) -> Atlas:
    """The atlas of a dataset.

    Args:
        db: of the runs.
        boards: comparisons.
        dataset: its name.
        source: its files, if its images may be shown and are here.

    Raises:
        DataError: naming the file, if an image that is to be shown can't be read.
    """
    found = views(db, boards, dataset)
    if source is None:
        return Atlas([Summary(view, {}) for view in found], {})
    pictures: dict[str, bytes] = {}
    summaries = []
    for view in found:
        lists = [one for ruled in Summary(view, {}).ruled for one in ruled.lists]
        asked = {view.images[place].id for one in lists for place, _ in one.shown}
        paths = {}
        for image, content in source.thumbnails(view.state.fingerprint, asked):
            paths[image] = picture_path(dataset, view.state.fingerprint, image)
            pictures[paths[image]] = content
        summaries.append(Summary(view, paths))
    return Atlas(summaries, pictures)
