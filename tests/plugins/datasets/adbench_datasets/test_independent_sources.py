from __future__ import annotations

import pytest

from adbench_harness import registry


@pytest.mark.parametrize(
    ("dataset", "source"),
    [
        ("mias", "mias"),
        ("mias-patches", "mias"),
        ("br35h", "br35h"),
        ("brain-tumor-mri", "br35h"),
        ("head-ct", ""),
        ("retinal-oct", ""),
        ("c-nmc", ""),
    ],
)
def test_datasets_that_share_images_are_one_source(dataset: str, source: str) -> None:
    assert registry.dataset(dataset).spec.independent_source == source
