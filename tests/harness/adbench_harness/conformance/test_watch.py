from __future__ import annotations

import os
from pathlib import Path

import pytest

from adbench_harness.conformance.watch import watching


def test_files_are_seen_where_they_are_written_but_not_what_torch_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, secret, compiled, elsewhere = (tmp_path / name for name in ("run", "secret", "torchinductor_user", "elsewhere"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with watching(run, secret) as watch:
        for folder in (run, elsewhere):
            folder.mkdir()
            (folder / "note.txt").write_text("x")
        # As torch does the first time: the name, then the folder.
        monkeypatch.setitem(os.environ, "TORCHINDUCTOR_CACHE_DIR", str(compiled))
        (compiled / "triton").mkdir(parents=True)
        (compiled / "kernel.py").write_text("x")
    assert watch.written == [str(elsewhere), str(elsewhere / "note.txt")]
