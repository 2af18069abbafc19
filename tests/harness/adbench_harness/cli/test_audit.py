from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adbench_harness.cli.audit import audit_dataset
from adbench_harness.home import Results
from adbench_harness.store.database import reading


@pytest.fixture
def typed(tmp_path: Path) -> Any:
    """Types ``adbench datasets audit`` with a home and a results folder of its own."""

    def run(*words: str) -> Result:
        folders = ["--home", str(tmp_path / "home"), "--results", str(tmp_path / "results")]
        return CliRunner().invoke(audit_dataset, [*words, *folders])

    return run


def test_the_phantom_is_audited_and_the_audit_is_kept(typed: Any, tmp_path: Path) -> None:
    done = typed("phantom", "--protocol", "esmaeili2023")
    assert done.exit_code == 0, done.output
    assert "groups (patients) on both sides of esmaeili2023's split 0" in done.output
    assert "A trivial feature alone, normal against abnormal" in done.output
    (file,) = (tmp_path / "results" / "audits").iterdir()
    assert f"written to {file}" in done.output
    assert json.loads(file.read_text())["dataset"] == "phantom"
    with reading(Results(tmp_path / "results").database) as db:
        assert db.execute("select count(*) > 0 from finding where dataset = 'phantom'").fetchone() == (True,)


def test_the_default_protocol_keeps_patients_together(typed: Any) -> None:
    done = typed("phantom")
    assert done.exit_code == 0, done.output
    assert "adbench-v1 0" in done.output
    assert "both sides" not in done.output


def test_json_is_all_that_is_printed_and_what_is_kept_and_a_dataset_is_not_held_against_itself(
    typed: Any, tmp_path: Path
) -> None:
    done = typed("phantom", "--against", "phantom", "--json")
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "results" / "audits").iterdir()
    assert json.loads(done.stdout) == json.loads(file.read_text())
    assert json.loads(done.stdout)["overlaps"] == []


def test_unknown_names_are_told(typed: Any) -> None:
    for words in (("phantum",), ("phantom", "--against", "nothing"), ("phantom", "--protocol", "nobody")):
        done = typed(*words)
        assert done.exit_code != 0
        assert type(done.exception).__name__ == "UnknownNameError"


def test_help_has_an_example() -> None:
    text = CliRunner().invoke(audit_dataset, ["--help"]).output
    assert "adbench datasets audit brain-tumor-mri --against br35h" in text
