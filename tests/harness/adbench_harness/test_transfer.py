from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adbench_harness.api import DataError, InterruptedRunError, OptionError
from adbench_harness.executors.attempts import execute
from adbench_harness.home import Home, Results
from adbench_harness.plan import Plan, RunRequest, plan
from adbench_harness.result import read_learnt, read_scores
from adbench_harness.runner import Conditions, run_one
from adbench_harness.store.figures import figures
from adbench_harness.training import Moment
from adbench_harness.transfer import transfer

REQUEST = RunRequest("pca", "tiny-discs", "tiny-protocol", device="cpu")


@pytest.fixture
def conditions(home: Home, results: Results) -> Conditions:
    return Conditions(home, results)


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, home: Home) -> Path:
    """A folder of one's own with the third party's images: the first half of the normal ones and all abnormal ones."""
    discs = plan(REQUEST, home)
    place = tmp_path / "own"
    for sample in discs.listing.samples:
        kind = "abnormal" if sample.label else "normal"
        (place / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(discs.listing.root / sample.path, place / kind / f"{sample.id}{Path(sample.path).suffix}")
    return place


def base_and_other(home: Home, folder: Path) -> tuple[Plan, Plan]:
    return plan(REQUEST, home), plan(replace(REQUEST, dataset=f"folder:{folder}", protocol="esmaeili2023"), home)


def test_images_that_both_hold_are_left_out_and_the_run_says_what_it_is(conditions: Conditions, folder: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    run_one(base, conditions)
    outcome = transfer(base, other, conditions)
    seen = {sample.id for sample in base.samples("train")}
    scores = read_scores(outcome.folder)
    assert not {Path(image).stem for image in scores.image} & seen
    manifest = outcome.manifest
    assert (manifest.cell.trained_on, manifest.cell.dataset) == ("tiny-discs", other.dataset.spec.name)
    assert manifest.unranked is not None
    assert manifest.unranked.startswith(f"transfer: trained on tiny-discs, tested on {other.dataset.spec.name}: ")
    removed = len(other.samples("test")) - len(scores.image)
    assert removed > 0
    assert f"{removed} test images shared with it left out" in manifest.unranked
    assert {one.image for one in read_learnt(outcome.folder)} == {f"tiny-discs/{sample}" for sample in seen}
    assert outcome.warnings == ()
    assert [f for f in figures(manifest, scores, ["youden"]) if f.name == "roc_auc"]


def test_it_is_the_same_detector_with_kept_weights_or_trained_again(conditions: Conditions, folder: Path, tmp_path: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    run_one(base, conditions)
    kept = transfer(base, other, conditions)
    elsewhere = replace(conditions, results=Results(tmp_path / "elsewhere"), keep_weights="none")
    run_one(base, elsewhere)
    again = transfer(base, other, elsewhere)
    assert again.warnings == (f"the weights of {base.run_id} are not there, so its detector was trained again",)
    np.testing.assert_allclose(read_scores(kept.folder).score, read_scores(again.folder).score)
    assert kept.manifest.run_id == again.manifest.run_id


def test_altered_weights_are_not_taken(conditions: Conditions, folder: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    weights = run_one(base, conditions).folder / "weights.safetensors"
    weights.write_bytes(b"\0" + weights.read_bytes()[1:])
    assert "trained again" in transfer(base, other, conditions).warnings[0]


def test_it_is_done_once(conditions: Conditions, folder: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    run_one(base, conditions)
    assert not transfer(base, other, conditions).already_done
    assert transfer(base, other, conditions).already_done


def test_the_same_dataset_and_one_without_an_image_of_its_own_are_refused(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    base, other = base_and_other(conditions.home, folder)
    with pytest.raises(OptionError, match="is the dataset that is learnt from; name another"):
        transfer(base, base, conditions)
    monkeypatch.setattr("adbench_harness.transfer.in_both", lambda samples, *_: {sample.id: "near" for sample in samples})
    with pytest.raises(DataError, match=r"every test image of .* is among those of tiny-discs"):
        transfer(base, other, conditions)


def test_a_request_to_test_elsewhere_gives_two_runs(tiny: Path, conditions: Conditions, folder: Path) -> None:
    request = replace(REQUEST, protocol="esmaeili2023", settings={"train_size": "12"}, eval_dataset=f"folder:{folder}")
    first, second = execute([request], conditions)
    assert first.outcome is not None
    assert second.outcome is not None
    assert first.outcome.manifest.cell.trained_on is None
    assert second.outcome.manifest.cell.trained_on == "tiny-discs"
    assert "--eval-dataset" in second.outcome.manifest.command
    assert "--eval-dataset" not in first.outcome.manifest.command


def test_weights_that_others_sent_are_not_taken(conditions: Conditions, folder: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    path = run_one(base, conditions).folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["received"] = {"bundle": "b", "imported": "2026-02-03T04:05:06Z"}
    path.write_text(json.dumps(manifest))
    done = transfer(base, other, conditions)
    assert done.warnings == (f"the weights of {base.run_id} came in a bundle, so its detector was trained again",)
    assert done.manifest.received is None


def test_a_stop_is_heard_while_the_other_s_images_are_compared_and_prepared(conditions: Conditions, folder: Path) -> None:
    base, other = base_and_other(conditions.home, folder)
    without = replace(conditions, keep_weights="none")
    run_one(base, without)
    for stage in ("compare", "prepare"):
        heard: list[str] = []
        with pytest.raises(InterruptedRunError, match=f"stopped during {stage} for the other dataset"):
            transfer(base, other, stopped_at(stage, heard, without))
        assert heard[-1] == stage
        assert set(heard) <= {"compare", "prepare"}  # nothing was trained again, only to be lost


def stopped_at(stage: str, heard: list[str], conditions: Conditions) -> Conditions:
    def listen(moment: Moment) -> None:
        heard.append(moment.phase)

    return replace(conditions, listen=listen, stop=lambda: stage in heard)
