from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from adbench_harness.api import NotImportedError, UnknownNameError
from adbench_harness.home import Home
from adbench_leaderboard.images.pictures import SIZE, Source, picture_path


def test_thumbnails_are_of_the_files_that_were_scored(tmp_path: Path) -> None:
    source = Source.of("phantom", Home(tmp_path))
    ids = sorted(source.samples)[:3]
    made = dict(source.thumbnails(source.listing.fingerprint, [*ids, "no such image"]))
    assert list(made) == ids
    for content in made.values():
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", (SIZE, SIZE))
    assert list(source.thumbnails("another state", ids)) == []


def test_files_that_are_not_here(tmp_path: Path) -> None:
    with pytest.raises(NotImportedError, match="adbench datasets import"):
        Source.of("head-ct", Home(tmp_path))
    with pytest.raises(UnknownNameError):
        Source.of("folder-0123", Home(tmp_path))


def test_a_picture_has_a_name_of_its_own() -> None:
    places = {picture_path(name, state, image) for name in ("a", "../b") for state in ("1", "2") for image in ("x", "../\ud800")}
    assert len(places) == 8
    assert not [place for place in places if ".." in place]
