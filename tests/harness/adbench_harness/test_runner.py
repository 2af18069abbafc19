from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from adbench_harness import training
from adbench_harness.api import (
    AdbenchError,
    BuildContext,
    DataError,
    InterruptedRunError,
    OptionError,
    PluginError,
    Subset,
    TrainingError,
)
from adbench_harness.data.images import DeviceImages
from adbench_harness.data.prepare import prepare
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_manifest, read_scores
from adbench_harness.retention import KeepWeights, Removable
from adbench_harness.runner import Conditions, run_one
from adbench_harness.scoring import score_images
from adbench_harness.store.figures import figures

TINY = RunRequest("tiny-autoencoder", "tiny-discs", "tiny-protocol", device="cpu")


@pytest.fixture
def conditions(home: Home, results: Results) -> Conditions:
    return Conditions(home, results)


def test_a_run_of_a_third_party_s_detector_on_its_dataset_under_its_protocol(tiny: Path, conditions: Conditions) -> None:
    outcome = run_one(plan(TINY, conditions.home), conditions)
    manifest = read_manifest(outcome.folder)
    assert outcome.manifest == manifest
    assert (manifest.cell.model, manifest.cell.dataset, manifest.cell.protocol) == (
        "tiny-autoencoder",
        "tiny-discs",
        "tiny-protocol",
    )
    assert manifest.training == {
        "images": 20,
        "images_presented": 144,
        "steps": 20,
        "epochs": {"both": 4, "decoder": 4},
        "resumed": 0,
    }
    assert manifest.dataset["counts"] == {"train_normal": 20, "test_normal": 20, "test_abnormal": 20}
    stated = manifest.model["options"]
    assert isinstance(stated, dict)
    assert stated["width"] == {"meaning": "hidden units", "default": 8}
    assert set(manifest.timings) == {"prepare", "train", "score", "examples"}
    assert not (outcome.folder / "examples").exists()  # it makes neither reconstruction nor map
    assert outcome.warnings == ()
    assert manifest.unranked is None
    scores = read_scores(outcome.folder)
    assert len(scores.image) == 40
    assert scores.group[0] == f"g{int(scores.image[0]) // 2}"
    assert scores.score[scores.label == 1].mean() > scores.score[scores.label == 0].mean()
    assert set(load_file(outcome.folder / "weights.safetensors")) == {
        "encoder.weight",
        "encoder.bias",
        "decoder.weight",
        "decoder.bias",
    }
    assert list(conditions.results.running.rglob("checkpoint*")) == []


def rebuild(detector: object, images: Tensor) -> Tensor:
    return 1 - images


def test_pictures_of_the_same_test_images_whatever_the_seed(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(TINY, conditions.home)
    monkeypatch.setattr(made.model.spec.build, "reconstruct", rebuild)
    outcomes = [run_one(plan(replace(TINY, seed=seed), conditions.home), conditions) for seed in (0, 1)]
    listed = [json.loads((outcome.folder / "examples" / "examples.json").read_text()) for outcome in outcomes]
    assert [example["image"] for example in listed[0]] == [example["image"] for example in listed[1]]
    assert [example["label"] for example in listed[0]] == [0] * 8 + [1] * 8
    for outcome, examples in zip(outcomes, listed, strict=True):
        scores = read_scores(outcome.folder)
        assert {e["image"]: e["score"] for e in examples}.items() <= dict(zip(scores.image, scores.score, strict=True)).items()
        assert {"examples/00-input.png", "examples/15-reconstruction.png"} <= set(outcome.manifest.files)
        assert outcome.warnings == ()
    made_of = prepare(made.listing, made.samples("train", "held_out", "test"), made.protocol.fit, conditions.home)
    for number, example in enumerate(listed[0]):
        pixels = made_of.pixels[made_of.rows[example["image"]]][:, :, 0]
        folder = outcomes[0].folder / "examples"
        np.testing.assert_array_equal(np.asarray(Image.open(folder / f"{number:02}-input.png")), pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(folder / f"{number:02}-reconstruction.png")), 255 - pixels)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("shapes do not match"), "model adbench-tiny:tiny-autoencoder failed while examples were drawn: ValueError"),
        (torch.OutOfMemoryError("8 GiB"), "out of memory at batch size 8"),
        (DataError("no atlas"), "no atlas"),
        (None, "the detector's anomaly map must be a tensor of shape"),
    ],
)
def test_a_detector_that_fails_to_draw_keeps_its_run_and_it_is_said(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch, error: Exception | None, message: str
) -> None:
    def broken(detector: object, images: Tensor) -> Tensor:
        if error is not None:
            raise error
        return images

    made = plan(TINY, conditions.home)
    with monkeypatch.context() as patch:
        patch.setattr(made.model.spec.build, "reconstruct", rebuild)
        patch.setattr(made.model.spec.build, "anomaly_map", broken)
        outcome = run_one(made, conditions)
    (warning,) = outcome.warnings
    assert warning.startswith(f"{made.run_id} is stored without example pictures: {message}")
    assert not (outcome.folder / "examples").exists()
    assert (outcome.folder / "weights.safetensors").exists()
    assert run_one(made, conditions).already_done
    assert list(conditions.results.running.rglob("checkpoint*")) == []


@pytest.mark.parametrize(
    ("keep", "kept"), [("newest", [False, False, True]), ("all", [True, True, True]), ("none", [False, False, False])]
)
def test_weights_are_kept_by_the_rule_and_are_no_part_of_the_identity(
    tiny: Path, conditions: Conditions, keep: KeepWeights, kept: list[bool]
) -> None:
    other = run_one(plan(replace(TINY, settings={"width": "4"}), conditions.home), conditions)
    plans = [plan(replace(TINY, split=split, seed=seed), conditions.home) for split, seed in ((0, 0), (0, 1), (1, 0))]
    plans.sort(key=lambda made: made.run_id)  # runs of one second are told apart by their ids
    outcomes = [run_one(made, replace(conditions, keep_weights=keep)) for made in plans]
    assert [(outcome.folder / "weights.safetensors").exists() for outcome in outcomes] == kept
    assert ["weights.safetensors" in outcome.manifest.files for outcome in outcomes] == [keep != "none"] * 3
    assert [outcome.folder.name for outcome in outcomes] == [made.run_id for made in plans]
    assert (other.folder / "weights.safetensors").exists()
    assert all(run_one(made, conditions).already_done for made in plans)


def test_old_weights_that_cannot_be_removed_are_a_warning(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted((plan(replace(TINY, seed=seed), conditions.home) for seed in (0, 1)), key=lambda made: made.run_id)
    run_one(first, conditions)

    def refuse(results: Results, item: Removable) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("adbench_harness.runner.remove", refuse)
    (warning,) = run_one(second, conditions).warnings
    weights = conditions.results.runs / first.run_id / "weights.safetensors"
    assert warning == f"cannot remove {weights}, which newer weights replace: Permission denied"


def test_a_run_that_is_done_is_found_and_nothing_changes(tiny: Path, conditions: Conditions) -> None:
    first = run_one(plan(TINY, conditions.home), conditions)
    before = {path: path.stat().st_mtime_ns for path in conditions.results.root.rglob("*")}
    again = run_one(plan(TINY, conditions.home), conditions)
    assert again.already_done
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in conditions.results.root.rglob("*")} == before


def test_what_changes_scores_changes_the_run_and_what_does_not_does_not(tiny: Path, home: Home) -> None:
    base = plan(TINY, home).run_id
    assert plan(replace(TINY, device="auto", settings={"width": "8"}), home).run_id == base
    others = [
        replace(TINY, seed=1),
        replace(TINY, split=1),
        replace(TINY, settings={"width": "4"}),
        replace(TINY, settings={"epochs": "2"}),
        replace(TINY, dataset="phantom"),
        replace(TINY, protocol="esmaeili2023"),
    ]
    ids = [plan(request, home).run_id for request in others]
    assert len({base, *ids}) == 7


def test_a_run_that_was_altered_is_made_again_and_what_was_there_is_kept(tiny: Path, conditions: Conditions) -> None:
    made = plan(replace(TINY, settings={"epochs": "1"}), conditions.home)
    folder = run_one(made, conditions).folder
    (folder / "scores.parquet").write_bytes(b"altered")
    (folder / "notes.txt").write_text("mine")
    again = run_one(made, conditions)
    assert not again.already_done
    (warning,) = again.warnings
    kept = next(path for path in folder.parent.iterdir() if path.name.endswith(".replaced"))
    assert warning == f"{folder} was altered or could not be read, and is kept as {kept.name} beside it"
    assert (kept / "notes.txt").read_text() == "mine"


def test_weights_are_what_training_left_and_give_the_stored_scores(home: Home, results: Results) -> None:
    request = RunRequest("pca", "phantom", "esmaeili2023", settings={"image_size": "32"}, device="cpu")
    made = plan(request, home)
    folder = run_one(made, Conditions(home, results)).folder
    detector = made.model.spec.build(
        made.options, BuildContext(torch.device("cpu"), torch.float32, 3, 32, torch.Generator().manual_seed(9))
    )
    detector.load(load_file(folder / "weights.safetensors"))
    stored = read_scores(folder)
    prepared = prepare(made.listing, made.samples("train", "test"), made.protocol.fit, home)
    images = DeviceImages(prepared, list(stored.image), torch.device("cpu"), torch.float32)
    np.testing.assert_allclose(score_images(detector, images, 32, torch.device("cpu")), stored.score, rtol=1e-5)


def test_an_overridden_protocol_field_makes_the_run_off_protocol(tiny: Path, conditions: Conditions) -> None:
    outcome = run_one(plan(replace(TINY, settings={"epochs": "2", "width": "4"}), conditions.home), conditions)
    assert outcome.manifest.protocol["overrides"] == {"epochs": "2"}
    assert outcome.manifest.unranked == "off protocol: epochs=2"
    assert outcome.manifest.variant == "tiny-autoencoder (width=4)"
    assert outcome.manifest.command.endswith("--seed 0 --set epochs=2 --set width=4")


@pytest.mark.parametrize(("settings", "message"), [({"widht": "3"}, "did you mean width"), ({"width": "0"}, "option width=0")])
def test_options_are_checked_before_anything_is_done(tiny: Path, home: Home, settings: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        plan(replace(TINY, settings=settings), home)


def test_a_stopped_run_goes_on_and_ends_with_the_same_scores(tiny: Path, conditions: Conditions, tmp_path: Path) -> None:
    whole = run_one(plan(TINY, conditions.home), conditions)
    other = Results(tmp_path / "other")
    heard: list[str] = []
    stopping = Conditions(
        conditions.home, other, listen=lambda moment: heard.append(moment.phase), stop=lambda: "decoder" in heard
    )
    with pytest.raises(InterruptedRunError, match="stopped in phase decoder, epoch 2 of 4"):
        run_one(plan(TINY, conditions.home), stopping)
    assert not any(other.runs.iterdir())
    rest = run_one(plan(TINY, conditions.home), Conditions(conditions.home, other))
    np.testing.assert_array_equal(read_scores(rest.folder).score, read_scores(whole.folder).score)
    assert rest.manifest.training["resumed"] == 1
    assert rest.manifest.training["steps"] == whole.manifest.training["steps"]


def test_fresh_starts_over(tiny: Path, conditions: Conditions) -> None:
    heard: list[str] = []
    stopping = replace(conditions, listen=lambda moment: heard.append(moment.phase), stop=lambda: "decoder" in heard)
    with pytest.raises(InterruptedRunError):
        run_one(plan(TINY, conditions.home), stopping)
    outcome = run_one(plan(TINY, conditions.home), replace(conditions, fresh=True))
    assert outcome.manifest.training["resumed"] == 0


def test_a_loss_that_explodes_fails_the_run_and_stores_nothing(tiny: Path, conditions: Conditions) -> None:
    with pytest.raises(TrainingError, match="mse is not finite in phase decoder, epoch 3; last finite values: mse 0"):
        run_one(plan(replace(TINY, settings={"explode": "3"}), conditions.home), conditions)
    assert list(conditions.results.runs.iterdir()) == []


def test_an_error_of_a_plugin_is_told_with_its_name(tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(TINY, conditions.home)

    def broken(*_: object) -> None:
        raise ValueError("shapes do not match")

    for method, when in (("phases", "in training"), ("score", "in scoring"), ("__init__", "while it was built")):
        with monkeypatch.context() as patch:
            patch.setattr(made.model.spec.build, method, broken)
            message = f"model adbench-tiny:tiny-autoencoder failed {when}: ValueError: shapes do not match .ADBENCH_DEBUG=1"
            with pytest.raises(PluginError, match=message):
                run_one(made, conditions)


@pytest.mark.parametrize("state", [None, {"w": 3}])
def test_a_state_that_cannot_be_kept_is_the_plugin_s_error(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch, state: object
) -> None:
    made = plan(TINY, conditions.home)
    monkeypatch.setattr(made.model.spec.build, "state", lambda self: state)
    with pytest.raises(PluginError, match="failed while its weights were taken"):
        run_one(made, conditions)
    assert list(conditions.results.runs.iterdir()) == []


def test_held_out_images_are_scored_and_told_apart(tiny: Path, conditions: Conditions) -> None:
    made = plan(TINY, conditions.home)
    train = [sample.id for sample in made.samples("train")]
    subsets: dict[str, Subset] = {**made.subsets, **dict.fromkeys(train[:5], "held_out")}
    outcome = run_one(replace(made, subsets=subsets), conditions)
    scores = read_scores(outcome.folder)
    assert sorted(image for image, subset in zip(scores.image, scores.subset, strict=True) if subset == "held_out") == train[:5]
    assert outcome.manifest.training["images"] == 15
    assert {f.value for f in figures(outcome.manifest, scores, ["youden"]) if f.name == "n_normal"} == {20}


def test_whose_code_it_is_and_the_split_itself_are_part_of_the_identity(tiny: Path, home: Home) -> None:
    made = plan(TINY, home)
    other = made.plugins["model"].model_copy(update={"distribution": "somebody-else"})
    assert replace(made, plugins={**made.plugins, "model": other}).run_id != made.run_id
    swapped = dict(zip(made.subsets, reversed(list(made.subsets.values())), strict=True))
    assert replace(made, subsets=swapped).run_id != made.run_id


def test_a_protocol_with_a_rule_that_nobody_knows_is_refused_before_anything_is_done(
    tiny: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adbench_harness.plan.RULES", {})
    with pytest.raises(PluginError, match="threshold rules that this adbench lacks: youden"):
        plan(TINY, home)


def test_a_run_that_another_process_has_just_made_is_found(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(TINY, conditions.home)
    run_one(made, conditions)
    answers = iter([None, read_manifest(conditions.results.runs / made.run_id)])
    monkeypatch.setattr("adbench_harness.runner.find_run", lambda *_: next(answers))
    assert run_one(made, conditions).already_done


def test_two_processes_do_not_make_one_run_at_once(tiny: Path, conditions: Conditions) -> None:
    made = plan(TINY, conditions.home)
    code = f"""
import sys
from filelock import FileLock
lock = FileLock({str(conditions.results.running / f".{made.run_id}.lock")!r}); lock.acquire(); print("held", flush=True); sys.stdin.read()
"""
    conditions.results.running.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(AdbenchError, match="is being made by another process"):
            run_one(made, conditions)
        other.stdin.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from adbench_harness import training
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one
from adbench_harness.scoring import score_images

training.CHECKPOINT_SECONDS = 0
epochs = 0

def listen(moment):
    global epochs
    epochs += moment.phase in ("both", "decoder", "distil")
    if epochs == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

home = Home(Path(sys.argv[1]))
request = RunRequest(*sys.argv[4:7], device="cpu", settings=dict(word.split("=") for word in sys.argv[7:]))
run_one(plan(request, home), Conditions(home, Results(Path(sys.argv[2])), listen=listen))
"""
MULTIKD = RunRequest("multikd", "tiny-discs", "tiny-protocol", device="cpu", settings={"teacher": "random", "epochs": "3"})


@pytest.mark.parametrize(("request_", "epochs"), [(TINY, 1), (TINY, 3), (TINY, 6), (MULTIKD, 2)])
def test_kill_9_loses_nothing_before_the_last_checkpoint(
    tiny: Path, conditions: Conditions, tmp_path: Path, warm: Any, request_: RunRequest, epochs: int
) -> None:
    whole = run_one(plan(request_, conditions.home), conditions)
    other = Results(tmp_path / "other")
    words = [str(conditions.home.root), str(other.root), str(epochs), request_.model, request_.dataset, request_.protocol]
    words += [f"{name}={value}" for name, value in (request_.settings or {}).items()]
    assert warm.run([sys.executable, "-c", KILLED, *words]).returncode == -signal.SIGKILL
    rest = run_one(plan(request_, conditions.home), Conditions(conditions.home, other))
    assert rest.manifest.training["resumed"] == 1
    np.testing.assert_array_equal(read_scores(rest.folder).score, read_scores(whole.folder).score)


def test_a_run_goes_on_after_a_kill_between_training_and_storing(
    tiny: Path, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "CHECKPOINT_SECONDS", 0)
        patch.setattr("adbench_harness.runner.write_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_one(plan(TINY, conditions.home), conditions)
    shutil.rmtree(conditions.results.runs)
    outcome = run_one(plan(TINY, conditions.home), conditions)
    assert (outcome.manifest.training["resumed"], outcome.manifest.training["steps"]) == (1, 20)
