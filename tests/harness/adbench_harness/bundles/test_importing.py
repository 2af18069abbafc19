from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from adbench_harness.api import DataError, StoreError
from adbench_harness.bundles.importing import Imported, Trust, import_bundle
from adbench_harness.bundles.planning import Surroundings
from adbench_harness.bundles.writing import Wanted, write_bundle
from adbench_harness.home import Results
from adbench_harness.result import check_files, read_curves, read_manifest, read_scores
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest, rebuild

Forge = Callable[..., Path]
Bring = Callable[..., Imported]


@pytest.fixture
def figures() -> Callable[[Results], list[tuple[Any, ...]]]:
    """Every stored figure, interval and score of a results folder."""

    def ask(results: Results) -> list[tuple[Any, ...]]:
        ingest(results)
        with reading(results.database) as db:
            found: list[tuple[Any, ...]] = []
            for table in ("metric", "part_metric", "score", "curve", "task"):
                found += db.execute(f"select * from {table} order by all").fetchall()
            return found

    return ask


def test_every_figure_is_the_sender_s_to_the_bit(made: Any, results: Results, bring: Bring, figures: Any, tmp_path: Path) -> None:
    shutil.copytree(made.results.runs, tmp_path / "copy" / "runs")
    done = bring(made.bundle)
    assert figures(results) == figures(Results(tmp_path / "copy"))
    run = done.runs[0]
    assert (run.run_id, run.already_there, run.has_weights) == (made.run_id, False, True)
    manifest, theirs = read_manifest(run.folder), read_manifest(made.results.runs / made.run_id)
    check_files(run.folder, manifest)
    assert manifest.received is not None
    assert manifest.received.bundle == done.sha256
    assert manifest.model_copy(update={"received": None, "files": theirs.files}) == theirs
    assert read_curves(run.folder).equals(read_curves(made.results.runs / made.run_id))
    weights = [load_file(place / "weights.safetensors") for place in (run.folder, made.results.runs / made.run_id)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[1])
    assert not (run.folder / "examples").exists()
    assert "its pictures were left out; --with-images takes them" in run.notes


def test_it_is_self_reported_and_so_it_is_after_a_rebuild(made: Any, results: Results, bring: Bring) -> None:
    bring(made.bundle)
    for take_in in (ingest, rebuild):
        take_in(results)
        with reading(results.database) as db:
            assert db.execute("select status, checks, unranked from run").fetchall() == [("self-reported", None, None)]


def test_pictures_come_in_if_they_are_let_in(made: Any, results: Results, bring: Bring) -> None:
    bring(made.bundle, Trust(with_images=True))
    assert (results.runs / made.run_id / "examples" / "00-input.png").is_file()


def test_the_same_scores_again_are_nothing_to_do(made: Any, results: Results, bring: Bring) -> None:
    first = bring(made.bundle)
    before = (first.runs[0].folder / "manifest.json").read_bytes()
    (first.runs[0].folder / "weights.safetensors").unlink()
    again = bring(made.bundle).runs[0]
    assert again.already_there
    assert "it is here already with the same scores (self-reported), nothing to do" in again.notes
    assert "its weights are not here and are not taken either" in again.notes[1]
    assert (again.folder / "manifest.json").read_bytes() == before


def test_a_run_of_our_own_with_the_same_scores_stays_ours(made: Any, results: Results, bring: Bring) -> None:
    shutil.copytree(made.results.runs, results.runs)
    assert "with the same scores (run here), nothing to do" in bring(made.bundle).runs[0].notes[0]
    assert read_manifest(results.runs / made.run_id).received is None


def test_other_scores_than_here_are_refused_with_both_facts(made: Any, results: Results, bring: Bring, forge: Forge) -> None:
    shutil.copytree(made.results.runs, results.runs)
    before = read_scores(results.runs / made.run_id).score
    other = forge({"scores.csv": lambda text: re.sub(rb"(?m)^40,(.*),[^,]+$", rb"40,\1,0.5", text)})
    with pytest.raises(StoreError) as error:
        bring(other)
    said = str(error.value)
    assert re.search(r"is here already \(run here, made 2\d{3}-.*\) with other scores than the bundle's \(made 2", said)
    assert re.search(
        r": 1 of \d+ differ, by at most 0\.\d+ \(image '40': [\de.-]+ here, 0\.5 in the bundle\)\. Nothing was", said
    )
    np.testing.assert_array_equal(read_scores(results.runs / made.run_id).score, before)


def test_a_run_here_that_can_t_be_read_is_not_replaced(made: Any, results: Results, bring: Bring) -> None:
    shutil.copytree(made.results.runs, results.runs)
    (results.runs / made.run_id / "scores.parquet").write_bytes(b"altered")
    with pytest.raises(StoreError, match="is here already, altered or unreadable"):
        bring(made.bundle)
    assert (results.runs / made.run_id / "scores.parquet").read_bytes() == b"altered"


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/dev/null/executed",))  # what unpickles it fails


@pytest.mark.parametrize("content", [pickle.dumps(Evil()), b"", b"\xff" * 100, (2**40).to_bytes(8, "little") + b"{}"])
def test_weights_that_are_a_pickle_or_anything_else(results: Results, bring: Bring, forge: Forge, content: bytes) -> None:
    with pytest.raises(DataError, match=r"weights\.safetensors: not safetensors \(.*\), refused"):
        bring(forge({"weights.safetensors": content}))
    assert not results.runs.exists()


def test_nothing_of_a_refused_bundle_is_kept(made: Any, results: Results, bring: Bring, forge: Forge) -> None:
    with pytest.raises(DataError):
        bring(forge({"curves.csv": b"other"}))
    assert not results.root.exists()


def test_a_file_for_another_model_is_no_matter_and_a_run_can_be_passed_on(
    made: Any, results: Results, around: Surroundings, tmp_path: Path
) -> None:
    given = replace(around, files={"teacher": str(tmp_path / "none.pth")})
    import_bundle(made.bundle, results, given, Trust())
    again = write_bundle(results, [made.run_id], tmp_path / "again.adbench", Wanted(weights=True))
    plain = write_bundle(made.results, [made.run_id], tmp_path / "plain.adbench", Wanted(weights=True))
    assert again.sha256 == plain.sha256
