from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adbench_harness.api import DatasetSpec, Sample
from adbench_harness.data.listing import Listing, listing
from adbench_harness.home import Home

MakeListing = Callable[[Path, Sequence[Sample]], Listing]


@pytest.fixture
def make_listing(home: Home) -> MakeListing:
    """Lists samples of a folder as a dataset called "made"."""

    def make(root: Path, samples: Sequence[Sample]) -> Listing:
        spec = DatasetSpec(
            name="made",
            title="",
            samples=lambda _: samples,
            modality="",
            organ="",
            citation="",
            licence="",
            source="somewhere",
            group_rule="",
            embedded=root,
        )
        return listing(spec, home)

    return make
