from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from adbench_harness import registry
from adbench_harness.api import EvaluationRules, StoreError
from adbench_harness.home import Results
from adbench_harness.manifest import Manifest
from adbench_harness.protocols import esmaeili2023
from adbench_harness.result import Learnt, Scores, read_learnt, read_scores, write_run
from adbench_harness.store.database import reading
from adbench_harness.store.figures import Rulebook, figures, part_figures
from adbench_harness.store.ingest import ingest
from adbench_harness.store.leaks import leaking, links
from adbench_harness.store.queries import figures_of, part_figures_of

RANDOM = np.random.default_rng(0)
SCORES = Scores(
    image=[f"h{n}" for n in range(20)] + [f"n{n}" for n in range(10)] + [f"a{n}" for n in range(10)],
    label=np.repeat([0, 0, 1], [20, 10, 10]).astype(np.int8),
    subtype=["normal"] * 30 + ["spot"] * 6 + ["blot"] * 4,
    group=[None] * 20 + [f"p{n}" for n in range(20)],
    subset=(*("held_out",) * 20, *("test",) * 20),
    score=RANDOM.normal(np.repeat([0, 0, 1], [20, 10, 10])),
    attributes=[{} for _ in range(30)] + [{"size": "small" if n < 5 else "large"} for n in range(10)],
)
AUDIT = {"duplicates": {"pixel_equal": [["n0", "t1"], ["n1", "n2"]], "near": [{"first": "t2", "second": "n3"}]}}


def study(manifest: Manifest, version: int = 1, thresholds: list[str] | None = None) -> Manifest:
    """The manifest of a run under a protocol that is installed, as one of before stated it."""
    cell = manifest.cell.model_copy(update={"protocol": esmaeili2023.NAME})
    protocol = {**manifest.protocol, "version": version, "evaluation": {"thresholds": thresholds or ["youden"]}}
    return manifest.model_copy(update={"cell": cell, "protocol": protocol})


def test_rules_are_the_installed_protocol_s_today(make_manifest: Callable[..., Manifest]) -> None:
    assert Rulebook().of(study(make_manifest())).rules == ("best-f1", "youden")
    assert Rulebook().of(study(make_manifest())).digest == "c9ed74b7e43683ab"


def test_rules_are_the_manifest_s_for_another_version_or_a_protocol_that_is_not_here(
    make_manifest: Callable[..., Manifest],
) -> None:
    assert Rulebook().of(study(make_manifest(), version=99)).rules == ("youden",)
    assert Rulebook().of(make_manifest()).rules == ("youden",)


def test_unreadable_and_unknown_rules_are_told() -> None:
    with pytest.raises(StoreError, match="rules that this adbench lacks: of-tomorrow"):
        Rulebook().look_up("p", 1, {"thresholds": ["of-tomorrow"]})
    with pytest.raises(StoreError, match="evaluation rules can't be read"):
        Rulebook().look_up("p", 1, {"threshold": 3})


def test_figures_are_of_test_images_and_held_out_ones_set_the_honest_threshold(make_manifest: Callable[..., Manifest]) -> None:
    manifest = make_manifest()
    found = {(f.task, f.rule, f.name): f.value for f in figures(manifest, SCORES, ["normal-q95"])}
    assert found["all", "none", "n_normal"] == 10
    assert found["all", "none", "n_held_out"] == 20
    assert found["all", "normal-q95", "threshold"] == np.sort(SCORES.score[:20])[-1]


def test_parts_leave_out_what_leaks_by_duplicates_and_by_patients(make_manifest: Callable[..., Manifest]) -> None:
    learnt = [Learnt("t1", "p5"), Learnt("t2", None)]
    found = {
        (figure.part, figure.name): figure.value
        for task, figure in part_figures(make_manifest(), SCORES, ["youden"], learnt, links(json.dumps(AUDIT).encode()))
        if task == "all" and figure.rule == "none"
    }
    assert found["without duplicates of training images", "n_normal"] == 8  # n0 and n3
    assert found["without patients of training images", "n_normal"] == 9  # n5
    assert found["size = small", "n_abnormal"] == 5
    assert found["kind = blot", "n_abnormal"] == 4


def test_nothing_leaks_no_part(make_manifest: Callable[..., Manifest]) -> None:
    names = {
        figure.part
        for _, figure in part_figures(make_manifest(), SCORES, ["youden"], [Learnt("t9", "p99")], links(b'{"duplicates": 1}'))
    }
    assert not [name for name in names if name.startswith("without")]


def test_held_out_images_leak_too(make_manifest: Callable[..., Manifest]) -> None:
    audit = {"duplicates": {"pixel_equal": [["h3", "n4"]], "near": []}}
    parts = part_figures(make_manifest(), SCORES, ["youden"], [Learnt("t1", None)], links(json.dumps(audit).encode()))
    assert {f.value for _, f in parts if f.name == "n_normal" and f.part.startswith("without duplicates")} == {9}


def test_duplicates_of_duplicates_leak() -> None:
    chain = links(json.dumps({"duplicates": {"pixel_equal": [["a", "b"]], "near": [{"first": "b", "second": "c"}]}}).encode())
    assert chain is not None
    assert leaking(["a", "x"], chain, {"c"}) == {"a"}


def _write(results: Results, manifest: Manifest) -> None:
    write_run(results.runs, manifest, SCORES, [], None, learnt=[Learnt("t1", None)])


def test_a_rule_that_a_protocol_gets_is_evaluated_on_old_scores(
    results: Results, make_manifest: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(results, study(make_manifest()))
    assert ingest(results).added == ["pca-made-0001"]
    assert ingest(results).added == []
    plugin = registry.protocol(esmaeili2023.NAME)
    spec = plugin.spec.__class__(**{**vars(plugin.spec), "evaluation": EvaluationRules(thresholds=("youden", "normal-q95"))})
    changed = plugin.__class__(**{**vars(plugin), "spec": spec})
    monkeypatch.setattr(registry, "protocol", lambda name: changed)
    assert ingest(results).added == ["pca-made-0001"]
    with reading(results.database) as db:
        assert {f.rule for f in figures_of(db, "pca-made-0001")} == {"none", "youden", "normal-q95", "all-positive"}
        assert db.execute("select count(*) from run").fetchall() == [(1,)]
    assert ingest(results).added == []


def test_an_audit_brings_figures_without_what_leaks_and_takes_them_along(
    results: Results, make_manifest: Callable[..., Manifest]
) -> None:
    manifest = make_manifest()
    _write(results, manifest)
    ingest(results)

    def parts() -> set[str]:
        with reading(results.database) as db:
            return {figure.part for _, figure in part_figures_of(db, manifest.run_id)}

    assert not [name for name in parts() if name.startswith("without")]
    results.audits.mkdir()
    place = results.audits / f"made-{manifest.dataset['fingerprint']}.json"
    plain: dict[str, Any] = {"format": 1, "dataset": "made", "fingerprint": manifest.dataset["fingerprint"], "findings": []}
    place.write_text(json.dumps({**plain, **AUDIT}))
    assert ingest(results).added == [manifest.run_id]
    assert "without duplicates of training images" in parts()
    place.unlink()
    ingest(results)
    assert not [name for name in parts() if name.startswith("without")]


def test_a_run_folder_of_before_has_no_attributes_and_no_training_images(
    results: Results, make_manifest: Callable[..., Manifest]
) -> None:
    _write(results, make_manifest())
    folder = results.runs / "pca-made-0001"
    (folder / "training.parquet").unlink()
    table = pq.read_table(folder / "scores.parquet").drop_columns(["attributes"])
    pq.write_table(table, folder / "scores.parquet")
    assert read_learnt(folder) == []
    assert set(map(len, read_scores(folder).attributes)) == {0}


def test_what_was_learnt_from_is_kept(results: Results, make_manifest: Callable[..., Manifest]) -> None:
    folder = write_run(results.runs, make_manifest(), SCORES, [], None, learnt=[Learnt("t1", "p1"), Learnt("t2", None)])
    assert read_learnt(folder) == [Learnt("t1", "p1"), Learnt("t2", None)]
    assert read_scores(folder).attributes[-1] == {"size": "large"}


def test_without_a_list_of_training_images_all_that_was_not_tested_counts_and_patients_are_unknown(
    make_manifest: Callable[..., Manifest],
) -> None:
    parts = list(part_figures(make_manifest(), SCORES, ["youden"], [], links(json.dumps(AUDIT).encode())))
    names = {figure.part for _, figure in parts}
    assert "without duplicates of training images" in names
    assert "without patients of training images" not in names


def test_an_audit_of_something_else_counts_for_nothing(results: Results, make_manifest: Callable[..., Manifest]) -> None:
    manifest = make_manifest()
    _write(results, manifest)
    results.audits.mkdir()
    place = results.audits / f"made-{manifest.dataset['fingerprint']}.json"
    place.write_text(json.dumps({"format": 1, "dataset": "other", "fingerprint": "f", "findings": [], **AUDIT}))
    done = ingest(results)
    assert done.added == [manifest.run_id]
    assert "rename the file back" in done.refused[f"audits/{place.name}"]
    with reading(results.database) as db:
        assert not [f for _, f in part_figures_of(db, manifest.run_id) if f.part.startswith("without duplicates")]
    assert ingest(results).added == []


def test_scores_that_the_manifest_does_not_count_are_refused(results: Results, make_manifest: Callable[..., Manifest]) -> None:
    plain = make_manifest()
    manifest = make_manifest(dataset={**plain.dataset, "counts": {"test_normal": 11, "test_abnormal": 10, "held_out_normal": 20}})
    _write(results, manifest)
    assert "scores.parquet has 10 images of test, normal, the manifest 11" in ingest(results).refused[manifest.run_id]
