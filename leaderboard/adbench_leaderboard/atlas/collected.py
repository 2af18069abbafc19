"""The atlas of a dataset: its views, and pictures of the images that stand in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from adbench_harness.api import AdbenchError
from adbench_harness.home import Home

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


def collect(db: duckdb.DuckDBPyConnection, boards: Sequence[Board], dataset: str, home: Home | None) -> Atlas:
    """The atlas of a dataset.

    Args:
        db: of the runs.
        boards: comparisons.
        dataset: its name.
        home: where its files lie, if its images may be shown.

    Raises:
        DataError: naming the file, if an image that is to be shown can't be read.
    """
    found = views(db, boards, dataset)
    bare = [Summary(view, {}) for view in found]
    source = _source(dataset, home) if home is not None and found else None
    if source is None:
        return Atlas(bare, {})
    pictures: dict[str, bytes] = {}
    summaries = []
    for summary in bare:
        view = summary.view
        asked = {view.images[place].id for one in summary.lists for place, _ in one.shown}
        paths = {}
        for image, content in source.thumbnails(view.state.fingerprint, asked):
            paths[image] = picture_path(dataset, view.state.fingerprint, image)
            pictures[paths[image]] = content
        summaries.append(Summary(view, paths))
    return Atlas(summaries, pictures)


def _source(dataset: str, home: Home) -> Source | None:
    """None if the files can't be had here; the publisher was told when the images were asked for."""
    try:
        return Source.of(dataset, home)
    except AdbenchError:
        return None
