"""The script behind interactive figures is made once a machine, and what is kept of it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from adbench_leaderboard.charts import bundle


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was bundled, in a cache that is empty at first."""
    found: list[bytes] = []
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(bundle, "_made", lambda: found.append(b"a script") or found[-1])  # type: ignore[func-returns-value]
    return found


def vega() -> bytes:
    """As another process has it."""
    return bundle.vega.__wrapped__()


def test_a_bundle_is_made_once(made: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    assert vega() == vega() == b"a script"
    assert len(made) == 1
    # Another vl-convert brings another one.
    monkeypatch.setattr(bundle, "version", lambda _: "99")
    vega()
    assert len(made) == 2


@pytest.mark.parametrize("damage", [b"", b"a script", b"0" * 64 + b"\na script"])
def test_what_is_damaged_is_made_anew(made: list[bytes], damage: bytes) -> None:
    vega()
    bundle.kept().write_bytes(damage)
    assert vega() == b"a script"
    assert len(made) == 2
    assert bundle.kept().read_bytes().endswith(b"\na script")


def test_a_cache_that_can_not_be_written_is_gone_without(made: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert vega() == b"a script"
