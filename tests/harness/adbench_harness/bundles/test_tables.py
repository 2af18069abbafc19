from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench_harness.api import DataError
from adbench_harness.bundles.tables import curves_text, read_curves, read_scores, scores_text
from adbench_harness.result import CURVES_SCHEMA, CurvePoint, Scores

HEAD = b"image,subset,label,subtype,score\n"
Names = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=5, unique=True)


def scores_of(images: list[str], values: list[float]) -> Scores:
    number = len(images)
    return Scores(images, np.zeros(number, np.int8), ["normal"] * number, [None] * number, ["test"] * number, np.asarray(values))


@settings(max_examples=40, deadline=None)
@given(images=Names, data=st.data())
def test_scores_come_back_to_the_bit_whatever_images_are_called(images: list[str], data: Any) -> None:
    floats = st.floats(allow_nan=False, allow_infinity=False)
    values = data.draw(st.lists(floats, min_size=len(images), max_size=len(images)))
    found = read_scores(scores_text(scores_of(images, values)), "here")
    assert {image: one.score.hex() for image, one in found.items()} == {
        image: float(value).hex() for image, value in zip(images, values, strict=True)
    }


def test_scores_are_sorted_and_tell_no_group(scores: Scores) -> None:
    rows = b"a1,test,1,spot,0.35\na2,test,1,blot,0.8\nn1,test,0,normal,0.1\nn2,test,0,normal,0.4\n"
    assert scores_text(scores) == (HEAD + rows).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (b"a,test,0,normal,nan\n", "line 2: the score of image 'a' is nan; only finite scores are kept"),
        (b"a,test,0,normal,inf\n", "the score of image 'a' is inf"),
        (b"a,test,0,normal,1e999\n", "not written as adbench writes it: '1e999' instead of inf"),
        (b"a,test,0,normal,1_0.0\n", "not written as adbench writes it"),
        (b"a,test,0,normal, 1.0\n", "not written as adbench writes it"),
        (b"a,test,0,normal,0.10000000000000000555\n", "not written as adbench writes it"),
        (b"a,test,0,normal,high\n", "is no number: 'high'"),
        (b"a,test,0,normal,1.0\nb,test,0,normal\n", "line 3: 4 values instead of 5"),
        (b"a,test,0,normal,1.0\na,test,0,normal,1.0\n", "line 3: image 'a' is scored twice"),
        (b"\n", "line 2: 0 values instead of 5"),
        (b'"a,test,0,normal,1.0\n', "no table of text"),
        (b"a\xff,test,0,normal,1.0\n", "no table of text"),
        (b"a" * 200_000 + b",test,0,normal,1.0\n", "no table of text"),
    ],
)
def test_rows_that_are_none(rows: bytes, said: str) -> None:
    with pytest.raises(DataError, match=r"^here") as error:
        read_scores(HEAD + rows, "here")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_another_table_is_refused() -> None:
    with pytest.raises(DataError, match="its first line is not image,subset,label,subtype,score"):
        read_scores(b"PAR1", "here")
    with pytest.raises(DataError, match="its first line is not"):
        read_scores(b"", "here")


def test_curves_come_back_in_their_order_even_if_a_value_is_none() -> None:
    points = [CurvePoint("b", 1, "loss, mean", 0.1), CurvePoint("a", 0, "loss", math.inf)]
    rows = [{"phase": c.phase, "epoch": c.epoch, "name": c.name, "value": c.value} for c in points]
    assert read_curves(curves_text(pa.Table.from_pylist(rows, schema=CURVES_SCHEMA)), "here") == points


@pytest.mark.parametrize(
    "row", [b"p,-1,n,0.5", b"p,1.5,n,0.5", b"p,9999999999999999999,n,0.5", b"p,1,n,x", b"p\x07,1,n,0.5", b"p" * 201 + b",1,n,0.5"]
)
def test_points_that_are_none(row: bytes) -> None:
    with pytest.raises(DataError, match="here, line 2: "):
        read_curves(b"phase,epoch,name,value\n" + row + b"\n", "here")
