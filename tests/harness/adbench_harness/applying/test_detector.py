from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adbench_harness.api import OptionError, PluginError, StoreError, UnknownNameError, WeightsError, file_sha256
from adbench_harness.applying.detector import find_stored, load_stored
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one

Edit = Callable[[dict[str, Any]], None]
NEEDS_FILE = """
from pathlib import Path
import torch
from adbench_harness.api import FittedDetector, ModelSpec, Options, hookimpl
adbench_api = 1
class Needs(Options):
    teacher: Path
class Taught(FittedDetector):
    def __init__(self, options, context): self.factor = torch.tensor(float(options.teacher.read_text()))
    def fit(self, images, context): ...
    def score(self, images): return images.mean(dim=(1, 2, 3)) * self.factor
    def state(self): return {"nothing": torch.zeros(1)}
    def load(self, state): ...
    def provenance(self): return {"teacher": {"seed": 1}}
@hookimpl
def register_models(register):
    register(ModelSpec("taught", "t", Taught, "p", "f", "a", "b", "c", revision=1, options=Needs))
"""


@pytest.fixture
def copy(trained: Any, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the trained run, whose manifest may be edited."""

    def made(edit: Edit = lambda manifest: None) -> Path:
        folder: Path = tmp_path / "results" / "runs" / trained.folder.name
        shutil.copytree(trained.folder, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        edit(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return made


def test_a_run_is_named_by_id_by_its_beginning_or_by_its_folder(trained: Any) -> None:
    name = trained.folder.name
    assert find_stored(trained.results, name) == trained.folder
    assert find_stored(trained.results, name[:14]) == trained.folder
    assert find_stored(Results(trained.home.root), str(trained.folder)) == trained.folder


def test_a_run_that_is_not_there_has_near_ones_named(trained: Any, copy: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"no run is called 'pcs-folder-own'; did you mean {trained.folder.name}"):
        find_stored(trained.results, "pcs-folder-own")
    with pytest.raises(UnknownNameError, match="no run is called 'zzz'; see: adbench results list"):
        find_stored(trained.results, "zzz")
    with pytest.raises(StoreError, match="no run there"):
        find_stored(trained.results, str(tmp_path))
    with pytest.raises(StoreError, match="there is no results folder"):
        find_stored(Results(tmp_path / "nowhere"), "pca")
    shutil.copytree(copy(), tmp_path / "results" / "runs" / "pca-another")
    with pytest.raises(UnknownNameError, match="2 runs begin with 'pca'; it may be pca-another, pca-folder-own"):
        find_stored(Results(tmp_path / "results"), "pca")


def test_the_detector_is_the_one_that_the_run_kept(trained: Any) -> None:
    stored = load_stored(trained.folder, {}, "cpu")
    state, kept = stored.detector.state(), load_file(trained.folder / "weights.safetensors")
    assert state.keys() == kept.keys()
    for name, tensor in kept.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)
    assert stored.rules.image_size == 16


def test_a_command_that_can_not_be_read_names_no_file(copy: Callable[..., Path]) -> None:
    folder = copy(lambda manifest: manifest.update(command="adbench run --set 'teacher=x"))
    assert load_stored(folder, {}, "cpu").manifest.run_id == folder.name


def test_without_weights_it_says_how_to_have_them_again(copy: Callable[..., Path]) -> None:
    folder = copy()
    (folder / "weights.safetensors").unlink()
    with pytest.raises(StoreError) as found:
        load_stored(folder, {}, "cpu")
    assert f"remove {folder}, then make it again: adbench run --model pca" in str(found.value)
    assert str(found.value).endswith(f"--keep-weights all --results {folder.parent.parent}")
    (folder / "weights.safetensors").write_bytes(b"none of ours")
    with pytest.raises(StoreError, match=r"weights.safetensors is not the file that the run wrote; restore it"):
        load_stored(folder, {}, "cpu")


def test_a_run_of_the_same_model_that_has_weights_is_named(trained: Any, copy: Callable[..., Path]) -> None:
    folder = copy()
    shutil.copytree(folder, folder.with_name("pca-with"))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(StoreError, match="; or take pca-with, which has some"):
        load_stored(folder, {}, "cpu")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("cell", {"trained_on": "mias"}, "tests elsewhere what another run trained; name that one: --run RUN"),
        ("received", {"bundle": "b", "imported": "2026-01-01T00:00:00Z"}, "came in a bundle without them; ask for one"),
    ],
)
def test_a_run_that_never_had_weights_says_where_they_are(
    copy: Callable[..., Path], part: str, value: dict[str, str], message: str
) -> None:
    folder = copy(lambda manifest: manifest.update({part: {**(manifest[part] or {}), **value}}))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(StoreError, match=message):
        load_stored(folder, {}, "cpu")


def test_scores_that_depend_on_the_batch_are_no_scores_of_an_image(copy: Callable[..., Path]) -> None:
    folder = copy(lambda manifest: manifest["model"].update(transductive="batch statistics"))
    with pytest.raises(
        OptionError, match=r"is transductive \(batch statistics\): an image's score depends on the images beside it"
    ):
        load_stored(folder, {}, "cpu")


def test_other_code_is_refused_with_what_to_install_or_to_type(copy: Callable[..., Path]) -> None:
    folder = copy(lambda manifest: manifest["plugins"]["model"].update(revision="source:0123456789ab"))
    with pytest.raises(PluginError, match=r"revision source:0123456789ab, and here is .*: adbench run --model pca"):
        load_stored(folder, {}, "cpu")


def test_code_that_is_not_installed_is_named(copy: Callable[..., Path]) -> None:
    folder = copy(lambda manifest: manifest["plugins"]["model"].update(distribution="elsewhere", version="3"))
    with pytest.raises(UnknownNameError, match="pca of elsewhere 3, which is not installed here; try: pip install elsewhere==3"):
        load_stored(folder, {}, "cpu")


def test_altered_scores_give_no_threshold(copy: Callable[..., Path]) -> None:
    folder = copy()
    (folder / "scores.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match=r"scores.parquet is not the file that the run wrote"):
        load_stored(folder, {}, "cpu")


def test_weights_that_are_no_safetensors_are_not_opened(copy: Callable[..., Path], tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    torch.save({"mean": torch.zeros(2)}, pickled)
    folder = copy(lambda manifest: manifest["files"].update({"weights.safetensors": file_sha256(pickled)}))
    shutil.copy(pickled, folder / "weights.safetensors")
    with pytest.raises(StoreError, match=r"weights.safetensors: cannot be read"):
        load_stored(folder, {}, "cpu")


def test_weights_of_another_network_are_the_plugin_s_to_refuse(copy: Callable[..., Path], tmp_path: Path) -> None:
    save_file({"mean": torch.zeros(2)}, tmp_path / "other")
    folder = copy(lambda manifest: manifest["files"].update({"weights.safetensors": file_sha256(tmp_path / "other")}))
    shutil.copy(tmp_path / "other", folder / "weights.safetensors")
    with pytest.raises(PluginError, match="failed while the weights of pca-folder-own-"):
        load_stored(folder, {}, "cpu")


def test_a_file_that_the_model_needs_is_found_where_it_was_or_asked_for(
    tiny: Path, fake_distribution: Any, home: Home, results: Results, tmp_path: Path
) -> None:
    source = NEEDS_FILE.replace("REVISION", "1")
    fake_distribution(
        "taught", "1", {"taught_model": source.replace("SEED", "1")}, {"adbench.models": {"taught": "taught_model"}}
    )
    teacher = tmp_path / "teacher.txt"
    teacher.write_text("2.0")
    request = RunRequest("taught", "tiny-discs", "tiny-protocol", device="cpu", settings={"teacher": str(teacher)})
    folder = run_one(plan(request, home), Conditions(home, results)).folder
    assert load_stored(folder, {}, "cpu").manifest.run_id == folder.name
    moved = teacher.rename(tmp_path / "moved.txt")
    with pytest.raises(OptionError, match=r"say where it is: --set teacher=FILE \(SHA-256 [0-9a-f]{64}\)"):
        load_stored(folder, {}, "cpu")
    assert load_stored(folder, {"teacher": str(moved)}, "cpu").manifest.run_id == folder.name
    moved.write_text("3.0")
    with pytest.raises(OptionError, match="not the file of run taught-tiny-discs-"):
        load_stored(folder, {"teacher": str(moved)}, "cpu")


def test_other_pretrained_weights_than_the_run_had_are_refused(copy: Callable[..., Path]) -> None:
    folder = copy(lambda manifest: manifest["model"].update(given={"teacher": {"sha256": "a" * 64}}))
    with pytest.raises(WeightsError, match=r"was given another teacher than there is here: sha256 a{64} then, none now"):
        load_stored(folder, {}, "cpu")
