from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from adbench_harness.cli import progress
from adbench_harness.cli.progress import MatrixProgress
from adbench_harness.plan import RunRequest

REQUESTS = [RunRequest("pca", "phantom", "adbench-v1", seed=seed) for seed in range(100)]


def screen(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> io.StringIO:
    file = io.StringIO()
    made = Console(file=file, force_terminal=terminal, width=120, height=12)
    monkeypatch.setattr(progress, "console", lambda stderr: made)
    return file


def shown(board: MatrixProgress) -> list[str]:
    return [task.description for task in board._bar.tasks if task.visible]


def test_there_are_no_more_lines_than_a_terminal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    screen(monkeypatch, terminal=True)
    with MatrixProgress(REQUESTS) as board:
        for number in range(40):
            board.heard(number, "", 0, 0)
        board.heard(0, "fit", 1, 9)
        first, *lines = shown(board)
        assert first == "all runs, 40 being made, 10 of them below"
        assert [line.split("seed ")[1] for line in lines] == ["0: fit", *map(str, range(1, 10))]
        for number in range(35):
            board.ended(number)
        first, *lines = shown(board)
        assert first == "all runs, 5 being made"
        assert [line.split("seed ")[1] for line in lines] == [str(number) for number in range(35, 40)]
        assert board._bar.tasks[0].completed == 35


def test_without_a_terminal_a_run_that_takes_long_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    file = screen(monkeypatch, terminal=False)
    now = [0.0]
    monkeypatch.setattr("adbench_harness.cli.progress.time.monotonic", lambda: now[0])
    with MatrixProgress([replace(REQUESTS[0], settings={"components": "[8]"})]) as board:
        board.heard(0, "", 0, 0)
        for done in range(100):
            board.heard(0, "fit", done, 100)
            now[0] += 1
        board.ended(0)
    assert file.getvalue().splitlines() == [
        f"  pca on phantom, adbench-v1, split 0, seed 0, components=[8]: fit {done}/100" for done in (30, 60, 90)
    ]
