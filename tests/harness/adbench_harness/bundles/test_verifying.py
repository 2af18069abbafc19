from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load, save

from adbench_harness import provenance
from adbench_harness.api import DataError, InterruptedRunError, OptionError, PluginError, StoreError, TrainingError
from adbench_harness.bundles import verifying
from adbench_harness.bundles.importing import Imported
from adbench_harness.bundles.planning import Surroundings
from adbench_harness.bundles.verifying import compare, verify
from adbench_harness.home import Results
from adbench_harness.provenance import plugin_provenance
from adbench_harness.result import Scores
from adbench_harness.runner import Conditions
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest, rebuild

Forge = Callable[..., Path]
Bring = Callable[..., Imported]
Verify = Callable[..., verifying.Verified]


@pytest.fixture
def check(made: Any, results: Results, around: Surroundings) -> Verify:
    def run(kind: Any, run_id: str = made.run_id) -> verifying.Verified:
        return verify(run_id, kind, around, Conditions(made.home, results))

    return run


def stored(results: Results) -> tuple[Any, ...]:
    with reading(results.database) as db:
        row = db.execute("select status, unranked from run").fetchone()
        assert row is not None
        return row


def test_weights_that_give_the_scores_and_a_training_that_does_lift_a_run(
    made: Any, results: Results, bring: Bring, check: Verify
) -> None:
    bring(made.bundle)
    ingest(results)
    first = check("re-scored")
    assert (first.before, first.after, first.check.agrees) == ("self-reported", "re-scored", True)
    assert first.check.max_difference <= 1e-6 * first.check.spread
    assert first.check.images == 40
    ingest(results)
    assert stored(results) == ("re-scored", None)
    second = check("re-trained")
    assert (second.before, second.after) == ("re-scored", "re-trained")
    assert second.check.rank_correlation == pytest.approx(1.0)
    rebuild(results)
    assert stored(results) == ("re-trained", None)
    assert not [path for path in results.running.iterdir() if path.is_dir()]  # what was trained to compare is gone


def test_a_score_that_was_changed_with_care_is_found_out(results: Results, bring: Bring, forge: Forge, check: Verify) -> None:
    bring(forge({"scores.csv": lambda text: re.sub(rb"(?m)^40,(.*),[^,]+$", rb"40,\1,0.5", text)}))
    found = check("re-scored")
    assert (found.after, found.check.agrees) == ("self-reported", False)
    assert found.check.max_difference > 0.4
    ingest(results)
    status, unranked = stored(results)
    assert status == "self-reported"
    assert re.match(
        r"not what its weights give: scored again here, a score differs by [\d.e+]+ of the scores' interquartile", unranked
    )
    assert check("re-trained").after == "self-reported"


def test_weights_of_another_detector_are_found_out(bring: Bring, forge: Forge, check: Verify) -> None:
    def shifted(content: bytes) -> bytes:
        return save({name: tensor * 1.01 for name, tensor in load(content).items()})

    bring(forge({"weights.safetensors": shifted}))
    assert not check("re-scored").check.agrees


def test_weights_that_don_t_fit_name_the_model(bring: Bring, forge: Forge, check: Verify, results: Results, made: Any) -> None:
    bring(forge({"weights.safetensors": lambda content: save({"other": load(content)["mean"]})}))
    with pytest.raises(PluginError, match=r"model adbench-harness:pca failed while the weights of .* were loaded: KeyError"):
        check("re-scored")
    assert not (results.runs / made.run_id / "status.json").exists()


def test_weights_that_give_no_numbers(bring: Bring, forge: Forge, check: Verify) -> None:
    bring(forge({"weights.safetensors": lambda content: save({k: v * float("nan") for k, v in load(content).items()})}))
    with pytest.raises(TrainingError, match="scores are not finite"):
        check("re-scored")


def test_without_weights_only_training_again_helps(
    made: Any, results: Results, bring: Bring, forge: Forge, check: Verify
) -> None:
    bring(forge({"weights.safetensors": None}))
    with pytest.raises(
        StoreError, match="came without weights, or they were removed; ask for a bundle exported with --with-weights"
    ):
        check("re-scored")
    path = results.runs / made.run_id / "weights.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(StoreError, match="is not the file that was imported"):
        check("re-scored")


def test_what_is_stopped_records_nothing_and_can_be_done_again(
    made: Any, results: Results, bring: Bring, check: Verify, around: Surroundings
) -> None:
    folder = bring(made.bundle).runs[0].folder
    for kind in ("re-scored", "re-trained"):
        with pytest.raises(InterruptedRunError, match="stopped"):
            verify(made.run_id, kind, around, Conditions(made.home, results, stop=lambda: True))
        assert not (folder / "status.json").exists()
    assert check("re-trained").after == "re-trained"


def test_a_run_of_our_own_and_one_that_is_not_there(made: Any, around: Surroundings) -> None:
    with pytest.raises(StoreError, match="was run here; there is nothing to verify"):
        verify(made.run_id, "re-scored", around, Conditions(made.home, made.results))
    with pytest.raises(StoreError, match="was altered or can't be read"):
        verify("pca-none", "re-scored", around, Conditions(made.home, made.results))


def test_only_the_very_code_can_verify(made: Any, bring: Bring, check: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(made.bundle)
    monkeypatch.setattr(provenance, "source_hash", lambda module: "99")
    with pytest.raises(
        PluginError, match=r"was made by adbench-harness .* and here is adbench-harness 0.*, revision source:99; only the same"
    ):
        check("re-scored")


def test_code_that_was_run_in_place_may_have_been_installed_since(
    made: Any, bring: Bring, check: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(made.bundle)

    def installed(*facts: Any) -> Any:
        return plugin_provenance(*facts).model_copy(update={"revision": "1", "editable": False})

    monkeypatch.setattr("adbench_harness.bundles.planning.plugin_provenance", installed)
    assert check("re-scored").after == "re-scored"


def test_a_file_that_is_an_option_must_be_here(
    made: Any, bring: Bring, check: Verify, around: Surroundings, results: Results
) -> None:
    bring(made.bundle)
    with pytest.raises(OptionError, match="has no file as option grid; it has: none"):
        verify(made.run_id, "re-scored", replace(around, files={"grid": "x"}), Conditions(made.home, results))


def test_a_run_that_hides_that_scores_depend_on_batch_mates(make_manifest: Any) -> None:
    honest = make_manifest()
    verifying._check_kind(honest, transductive=False)
    with pytest.raises(
        DataError, match="hides that its scores depend on the other images of a batch, and the detector here says that"
    ):
        verifying._check_kind(honest, transductive=True)


def test_the_difference_is_measured_by_the_spread_of_the_sent_scores() -> None:
    values = np.linspace(0, 8, 9)
    sent = Scores([f"i{n}" for n in range(9)], np.zeros(9, np.int8), ["normal"] * 9, [None] * 9, ["test"] * 9, values)
    moved = replace(sent, image=sent.image[::-1], score=values[::-1] + 0.0039)
    found = compare(sent, moved, "re-scored", "a CPU")
    assert (found.spread, round(found.max_difference, 6), found.agrees) == (4.0, 0.0039, True)
    assert not compare(sent, replace(sent, score=values + 0.0041), "re-scored", "a CPU").agrees
    assert compare(sent, replace(sent, score=values + 0.0041), "re-trained", "a CPU").agrees
    assert compare(sent, replace(sent, score=np.ones(9)), "re-scored", "a CPU").rank_correlation is None
    with pytest.raises(StoreError, match="other images were scored here"):
        compare(sent, replace(sent, image=[f"j{n}" for n in range(9)]), "re-scored", "a CPU")
