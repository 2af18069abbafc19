from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from adbench_harness.cli.standard_output import ours_alone

from .conftest import Adbench

LOUD = """
import os
import torch
from adbench_harness.api import FittedDetector, ModelSpec, Options, hookimpl

adbench_api = 1
os.system("echo noise of a program")

class Detector(FittedDetector):
    def __init__(self, options, context):
        print("noise of python")
    def fit(self, images, context):
        os.write(1, b"noise of compiled code\\n")
        os.fork()
    def score(self, images): return images.flatten(1).mean(dim=1)
    def state(self): return {}
    def load(self, state): pass
    def parameters(self): return 0

@hookimpl
def register_models(register):
    register(ModelSpec(
        name="loud", title="Loud", build=Detector, paper="none", url="", family="other", description="d", training_phase="t",
        testing_phase="t", score="s", options=Options, revision=1))
"""


def test_a_plugin_that_prints_and_forks_spoils_neither_the_answer_nor_the_run(adbench: Adbench, fake_distribution: Any) -> None:
    fake_distribution("loud", "1.0", {"loud": LOUD}, {"adbench.models": {"loud": "loud"}})
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
