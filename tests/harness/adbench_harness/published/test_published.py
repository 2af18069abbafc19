"""The study's figures hang together, and the file that holds them is checked when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from adbench_harness.api import DataError
from adbench_harness.metrics.operating_point import Confusion
from adbench_harness.protocols.esmaeili2023 import TABLE_1
from adbench_harness.published import NUMBERS, Cell, Matrix, published, read

STUDY = published().study
CELLS = list(STUDY.cells())
MANY = {
    Cell("br35h", "all", "ganomaly"): 2,
    Cell("br35h", "all", "multikd"): 3,
    Cell("c-nmc", "all", "f-anogan"): 2,
    Cell("c-nmc", "all", "ganomaly"): 3,
    Cell("c-nmc", "all", "multikd"): 3,
}
"""Cells that several confusion matrices explain."""


def rounds_to(value: float, printed: float) -> bool:
    """A tie may be rounded either way."""
    return abs(value - printed) <= 0.0005 + 1e-9


def explains(matrix: Matrix, cell: Cell) -> bool:
    at, printed = Confusion(*matrix), STUDY.printed(cell)
    pairs = ((at.precision, printed.precision), (at.sensitivity, printed.recall), (at.f1, printed.f1))
    return all(rounds_to(value, figure) for value, figure in pairs)


def test_table_3_has_three_models_on_nine_test_sets() -> None:
    assert len(CELLS) == len(set(CELLS)) == 27
    assert {cell.model for cell in CELLS} == {"f-anogan", "ganomaly", "multikd"}
    assert {(cell.dataset, cell.task) for cell in CELLS} == {
        *((dataset, "all") for dataset in TABLE_1 if dataset != "retinal-oct"),
        *(("retinal-oct", task) for task in ("cnv", "dme", "drusen")),
    }


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_its_precision_recall_and_f1_are_those_of_a_confusion_matrix(cell: Cell) -> None:
    matrices = STUDY.matrices(cell)
    assert len(matrices) == len(set(matrices)) == MANY.get(cell, 1)
    for matrix in matrices:
        assert explains(matrix, cell)
    abnormal, normal = STUDY.counts[cell.dataset].test_abnormal[cell.task], STUDY.counts[cell.dataset].test_normal
    recalled = [tp for tp in range(abnormal + 1) if rounds_to(tp / abnormal, STUDY.printed(cell).recall)]
    everything = [Matrix(tp, abnormal - tp, fp, normal - fp) for tp in recalled for fp in range(normal + 1)]
    assert {matrix for matrix in everything if explains(matrix, cell)} == set(matrices)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_specificity_is_what_the_matrices_say(cell: Cell) -> None:
    found = [Confusion(*matrix).specificity for matrix in STUDY.matrices(cell)]
    claim = STUDY.claim(cell, "specificity")
    assert [claim.low, claim.high] == pytest.approx([min(found), max(found)])
    assert claim.low <= claim.value <= claim.high
    assert claim.high - claim.low < 0.004


def test_five_cells_are_those_of_no_detector_at_all() -> None:
    trivial = [cell for cell in CELLS if STUDY.calls_all_abnormal(cell)]
    assert trivial == [
        Cell("brain-tumor-mri", "all", "ganomaly"),
        Cell("mias", "all", "f-anogan"),
        Cell("mias", "all", "ganomaly"),
        Cell("mias", "all", "multikd"),
        Cell("mias-patches", "all", "f-anogan"),
    ]
    for cell in CELLS:
        counts = STUDY.counts[cell.dataset]
        nothing = Confusion(tp=counts.test_abnormal[cell.task], fn=0, fp=counts.test_normal, tn=0)
        assert rounds_to(nothing.f1, STUDY.printed(cell).f1) == (cell in trivial)


def test_counts_are_those_by_which_the_protocol_splits() -> None:
    assert {name: (counts.train_normal, counts.test_normal) for name, counts in STUDY.counts.items()} == dict(TABLE_1)
    abnormal = {name: sum(counts.test_abnormal.values()) for name, counts in STUDY.counts.items()}
    assert abnormal == {
        "head-ct": 100,
        "brain-tumor-mri": 155,
        "br35h": 1500,
        "mias": 115,
        "mias-patches": 117,
        "retinal-oct": 726,
        "c-nmc": 1219,
    }


def test_where_numbers_conflict_it_is_said() -> None:
    assert "115" in STUDY.conflicts["mias"]
    assert "64 benign + 52 malignant" in STUDY.conflicts["mias"]
    assert "117" in STUDY.conflicts["mias-patches"]
    assert "119" in STUDY.conflicts["mias-patches"]


def test_areas_of_the_three_oct_tasks_pool_to_what_others_can_be_compared_with() -> None:
    pooled = {model: round(STUDY.pooled_roc_auc("retinal-oct", model), 3) for model in ("f-anogan", "ganomaly", "multikd")}
    assert pooled == {"f-anogan": 0.797, "ganomaly": 0.827, "multikd": 0.969}


def test_every_figure_of_others_has_its_source() -> None:
    found = {(entry.dataset, model): value for entry in published().outside for model, value in entry.values.items()}
    assert found == {
        ("retinal-oct", "f-anogan"): 0.728,
        ("retinal-oct", "ganomaly"): 0.686,
        ("retinal-oct", "multikd"): 0.966,
        ("head-ct", "multikd"): 0.608,
        ("brain-tumor-mri", "multikd"): 0.817,
    }
    assert published().sources["esmaeili2023"].doi == "10.1109/ACCESS.2023.3244741"
    assert all(source.url.startswith("https://") for source in published().sources.values())


@pytest.mark.parametrize(
    ("there", "instead", "message"),
    [
        ("precision = 0.861", "precision = 1.861", "study.results.head-ct.all.f-anogan.precision: Input should be less than"),
        ("roc_auc = 0.761", "roc_auk = 0.761", "roc_au"),
        ("f-anogan = [[99, 1, 16, 4]]", "f-anogan = [[98, 1, 16, 4]]", "has 99 abnormal and 20 normal images, Table 1 (100, 20)"),
        ("f-anogan = [[99, 1, 16, 4]]", "", "head-ct all, f-anogan: it has no confusion matrix"),
        ("f-anogan = [[99, 1, 16, 4]]", "f-anogan = []", "its list of confusion matrices is empty"),
        ("[sources.bmad]", "[sources.bemad]", "there is no source 'bmad'; there is: esmaeili2023, bemad"),
        ("spread = { f-anogan = 0.011", "spread = { pca = 0.011", "a spread without a value: pca"),
        ("head-ct         = {", "head-ctt        = {", "Table 1 has no count for it"),
        ("[study.counts]", "[study.counts", "can't be read"),
    ],
)
def test_a_damaged_file_is_told_with_the_place(tmp_path: Path, there: str, instead: str, message: str) -> None:
    text = NUMBERS.read_text(encoding="utf-8")
    assert there in text
    damaged = tmp_path / "numbers.toml"
    damaged.write_text(text.replace(there, instead, 1), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(damaged)
    assert message in str(caught.value)
    assert str(damaged) in str(caught.value)
    assert "pip install --force-reinstall adbench-harness" in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "none.toml")
