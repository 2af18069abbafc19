from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from adbench_harness.cli.standard_output import ours_alone

from .conftest import Adbench


def test_a_plugin_that_prints_and_forks_spoils_neither_the_answer_nor_the_run(
    adbench: Adbench, fake_detector: Callable[..., None]
) -> None:
    fake_detector(
        "loud",
        top='os.system("echo noise of a program"); print("noise of python")',
        fit='os.write(1, b"noise of compiled code\\n"); os.fork()',
    )
    done = adbench("run", "-m", "loud", "-d", "phantom", "--set", "image_size=32", "--json")
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)
    assert run["run_id"].startswith("loud-phantom-")
    for words in ("noise of a program", "noise of python", "noise of compiled code"):
        assert words in done.stderr
    assert done.stderr.count("model loud:loud forked a process that does not end by itself; it was ended") == 1


def test_a_replaced_standard_output_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with ours_alone():
        sys.stdout.write("an answer\n")
    assert capsys.readouterr().out == "an answer\n"
