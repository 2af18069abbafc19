from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench_harness import registry
from adbench_harness.api import DataError
from adbench_harness.data.listing import listing
from adbench_harness.data.montage import GAP, TILE, TITLE, write_montage
from adbench_harness.home import Home


def test_the_montage_has_a_row_for_each_kind_and_is_the_same_each_time(tmp_path: Path, home: Home) -> None:
    found = listing(registry.dataset("phantom").spec, home)
    write_montage(found, tmp_path / "a.png")
    write_montage(found, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.height == len(found.counts()) * (TITLE + TILE + GAP) + GAP
        tile = np.asarray(sheet.convert("L").crop((GAP, GAP + TITLE, GAP + TILE, GAP + TITLE + TILE)))
    assert tile.std() > 10


def test_a_montage_that_cannot_be_written_is_named(tmp_path: Path, home: Home) -> None:
    with pytest.raises(DataError, match=r"cannot write .*nowhere"):
        write_montage(listing(registry.dataset("phantom").spec, home), tmp_path / "nowhere" / "a.png")
