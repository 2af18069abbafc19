from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

SUITE = "adbench_harness.conformance.suite"
LOUD = """
from pathlib import Path
from adbench_harness.api import DatasetSpec, Sample, hookimpl

adbench_api = 1
FIELDS = dict.fromkeys(["title", "modality", "organ", "citation", "licence", "source", "group_rule"], "made up")


def samples(root):
    print("listing")
    return [Sample("n", "n.png", 0)]


@hookimpl
def register_datasets(register):
    register(DatasetSpec(name="loud", samples=samples, embedded=Path(__file__).parent, **FIELDS))
"""


def test_one_test_a_rule_is_passed_failed_or_skipped_with_the_check_s_words(
    tmp_path: Path, fake_distribution: Callable[..., None], warm: Any
) -> None:
    fake_distribution("adbench-loud", "1", {"adbench_loud": LOUD}, {"adbench.datasets": {"loud": "adbench_loud"}})
    Image.new("L", (16, 16)).save(tmp_path / "fake-site" / "n.png")
    home = tmp_path / "home"
    home.mkdir()
    named = ["--adbench-model", "pca", "--adbench-dataset", "loud", "--adbench-home", str(home)]
    command = [
        str(warm.python),  # for the processes of its checks, too
        "-m",
        "pytest",
        "--pyargs",
        SUITE,
        *named,
        "-v",
        "-rs",
        "-k",
        "pca-described or loud-output or loud-tasks",
    ]
    done = warm.run(command, cwd=tmp_path)
    told = done.stdout
    assert done.returncode == 1, told + done.stderr
    assert "test_rule[pca-described] PASSED" in told
    assert "test_rule[loud-tasks] SKIPPED" in told
    assert "it has the task 'all' alone" in told
    assert "test_rule[loud-output] FAILED" in told
    assert "prints nothing to stdout: it prints 'listing'" in told
    assert "Traceback" not in told
    assert "1 failed, 1 passed, 1 skipped" in told
    assert f"rootdir: {tmp_path}\n" in told, "the home is no place with tests"
