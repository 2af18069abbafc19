from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from adbench_harness.api import OptionError, UnknownNameError
from adbench_harness.cli.executing import CHOOSING, driver_of
from adbench_harness.result import run_folders

Adbench = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("run", "-m", "tiny-autoencoder", "-d", "tiny-discs", "--protocol", "tiny-protocol", "--device", "cpu")


def chosen(**words: object) -> dict[str, object]:
    return {**dict.fromkeys(CHOOSING), "executor_settings": (), **words}


def test_a_single_run_needs_no_executor_and_several_have_the_local_one() -> None:
    assert driver_of(chosen(), None, 1) is None
    for jobs, runs in ((1, 1), (None, 2)):
        found = driver_of(chosen(), jobs, runs)
        assert found is not None
        assert (found.executor.spec.name, found.jobs) == ("local", jobs)


def test_options_go_to_the_executor_by_either_name() -> None:
    found = driver_of(chosen(executor="ray", gpus="0.5", executor_settings=(("cpus", "2"),)), 7, 1)
    assert found is not None
    assert found.options.model_dump() == {"address": None, "gpus": 0.5, "cpus": 2.0, "retries": 3}
    assert found.jobs == 7


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(UnknownNameError, match="did you mean slurm"):
        driver_of(chosen(executor="slrum"), None, 1)
    with pytest.raises(OptionError, match="unknown option 'partition'"):
        driver_of(chosen(partition="gpu"), None, 1)


def test_a_third_party_s_executor_carries_out_the_command(tiny: Path, adbench: Adbench, tmp_path: Path) -> None:
    words = (*TINY, "--seed", "0,1", "--executor", "tiny-queue", "--executor-option", "backwards=true")
    done = adbench(*words)
    assert done.returncode == 0, done.stderr
    assert [line.split("seed ")[1][0] for line in done.stdout.splitlines()] == ["1", "0"]
    assert len(list(run_folders(tmp_path / "results" / "runs"))) == 2
    missing = adbench(*words, "-d", "head-ct", "--results", str(tmp_path / "results"))
    assert missing.returncode == 1
    again = missing.stderr.splitlines()[-1].strip()
    assert again.endswith(f"--device cpu --executor tiny-queue --executor-option backwards=true --results {tmp_path / 'results'}")
    assert again.startswith("adbench run --model tiny-autoencoder --dataset head-ct --protocol tiny-protocol --split 0 --seed ")


def test_what_makes_a_run_alone_is_on_the_file_s_device_and_in_the_manner_that_was_typed(
    tiny: Path, adbench: Adbench, tmp_path: Path
) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('model = "pca"\ndataset = ["head-ct", "br35h"]\nprotocol = "tiny-protocol"\ndevice = "cpu"\n')
    manner = ("--if-moved", "go-on", "--time-limit", "1.5h", "--keep-weights", "all")
    failed = adbench("run", "matrix.toml", "--fresh", "--fail-fast", "--jobs", "1", *manner)
    assert failed.returncode == 1
    start = "adbench run --model pca --dataset head-ct --protocol tiny-protocol --split 0 --seed 0"
    again = f"{start} --device cpu --time-limit 5400 --if-moved go-on --keep-weights all"
    assert failed.stderr.splitlines()[-1].strip() == again
    alone = adbench(*again.split()[1:])
    assert "adbench datasets import head-ct" in alone.stderr
    plain = adbench("run", "matrix.toml", "--device", "auto", "--quiet")
    assert plain.stderr.splitlines()[-3].strip() == start


def test_an_executor_s_options_can_be_looked_up(tiny: Path, adbench: Adbench) -> None:
    shown = adbench("plugins", "show", "slurm")
    assert "walltime      240" in shown.stdout
    assert set(json.loads(adbench("plugins", "show", "tiny-queue", "--json").stdout)["options"]) == {"backwards"}
    assert "no executor is called 'slum'; did you mean slurm?" in adbench("plugins", "show", "slum").stderr


def test_images_are_prepared_once_and_then_only_read(tiny: Path, adbench: Adbench, tmp_path: Path) -> None:
    words = ("run", "-m", "pca,histogram", "-d", "tiny-discs,head-ct", "--protocol", "tiny-protocol", "--device", "cpu")
    done = adbench(*words, "--prepare-only", "--quiet")
    assert done.returncode == 1
    prepared, missing = done.stdout.splitlines()  # one line for both models
    assert prepared.startswith("tiny-discs, tiny-protocol, split 0: ")
    assert "adbench datasets import head-ct" in missing
    assert not (tmp_path / "results" / "runs").exists()
    (entry,) = (tmp_path / "home" / "cache" / "prepared").iterdir()
    before = (entry / "images.npy").stat()
    assert adbench("run", "-m", "pca", "-d", "tiny-discs", "--protocol", "tiny-protocol", "--device", "cpu").returncode == 0
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]
    assert (entry / "images.npy").stat().st_mtime_ns == before.st_mtime_ns
