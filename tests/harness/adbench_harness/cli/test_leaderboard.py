"""adbench leaderboard serve, check and diff, as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from adbench_harness.cli import cli
from adbench_harness.cli.leaderboard import build_site
from adbench_harness.home import Home, Results

Type = Callable[..., tuple[int, str, str]]
RUN = {"run_id": "r1", "unranked": None, "figures": dict[str, object]()}
EMPTY = {"schema_version": 1, "adbench": "0", "newest_run": None, "datasets": [], "models": [], "boards": [], "runs": []}


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Exit status, output and messages of a command, in this process."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["leaderboard", *words], standalone_mode=False)
        assert isinstance(caught.value.code, int)
        out, messages = capsys.readouterr()
        return caught.value.code, out, messages

    return run


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<p>no site of ours")
    return tmp_path / "site"


def test_check_says_each_finding_on_a_line_and_exits_with_1(typed: Type, site: Path) -> None:
    status, out, messages = typed("check", str(site))
    assert status == 1
    assert "index.html: html has no lang [language]" in out.splitlines()
    assert messages.endswith(f"{len(out.splitlines())} findings in 1 pages, 1 files\n")
    status, out, _ = typed("check", str(site), "--json")
    report = json.loads(out)
    assert (status, report["pages"]) == (1, 1)
    assert {"page": "index.html", "kind": "language", "text": "html has no lang"} in report["findings"]


def test_diff_exits_as_diff_does(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(EMPTY))
    (tmp_path / "new.json").write_text(json.dumps({**EMPTY, "runs": [RUN]}))
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    assert typed("diff", old, old) == (0, "no difference\n", "")
    assert typed("diff", old, new) == (1, "+ run      r1\n", "1 change\n")
    status, out, _ = typed("diff", old, new, "--json")
    assert (status, json.loads(out)["changes"][0]["name"]) == (1, "r1")


def test_without_npm_the_site_goes_without_sql(
    results: Results, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results.runs.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_site(results, tmp_path / "site", home=home, sql=True).is_file()
    assert "the site goes without SQL: the SQL engine comes from npm" in capsys.readouterr().err


def test_two_that_can_not_be_compared_exit_with_2(adbench: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = adbench("leaderboard", "diff", "gone", "gone")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "adbench: error: there is no gone; give a built site or a leaderboard.json\n"


def test_serve_says_where_and_ends_cleanly(site: Path) -> None:
    # What a shell starts in the background ignores Ctrl-C, and all that this starts does too.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from adbench_harness.cli import main; main()"
    command = [sys.executable, "-c", program, "leaderboard", "serve", str(site), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            address, _, rest = process.stdout.readline().partition(" ")
            assert "Ctrl-C" in rest
            with urlopen(address, timeout=60) as response:
                assert response.read() == b"<p>no site of ours"
            process.send_signal(signal.SIGINT)
            out, messages = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out.strip(), messages) == (0, "", "")
