from __future__ import annotations

from collections import Counter

import pytest

from adbench_harness.api import Sample
from adbench_harness.protocols.esmaeili2023 import TABLE_1, assign


def normals(count: int) -> list[Sample]:
    return [Sample(f"n{k:05}", "x.png", 0) for k in range(count)]


@pytest.mark.parametrize("dataset", ["head-ct", "brain-tumor-mri", "br35h", "mias", "mias-patches"])
def test_a_complete_set_is_split_into_table_1_s_counts(dataset: str) -> None:
    train, test = TABLE_1[dataset]
    chosen = assign(dataset, [*normals(train + test), Sample("a", "a.png", 1, "x")], 0)
    assert Counter(chosen.values()) == {"train": train, "test": test + 1}
    assert chosen["a"] == "test"


def test_another_set_is_split_four_to_one() -> None:
    assert Counter(assign("else", normals(50), 0).values()) == {"train": 40, "test": 10}


def test_an_official_split_is_kept_and_abnormal_training_images_are_left_out() -> None:
    samples = [
        Sample("n1", "x", 0, official_split="train"),
        Sample("n2", "x", 0, official_split="test"),
        Sample("a1", "x", 1, "cnv", official_split="train"),
        Sample("a2", "x", 1, "cnv", official_split="test"),
    ]
    assert assign("retinal-oct", samples, 0) == {"n1": "train", "n2": "test", "a2": "test"}


def test_the_order_does_not_depend_on_the_listing() -> None:
    samples = normals(98)
    assert assign("brain-tumor-mri", samples, 0) == assign("brain-tumor-mri", samples[::-1], 0)
