"""The engine comes from npm once, is checked whenever it is used, and says what to do where it can't be had."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from adbench_leaderboard.explore import engine as sql_engine
from adbench_leaderboard.explore.engine import EngineError, Package, Part, engine

CONTENTS = {"dist/code.wasm": b"\0asm" * 1000, "dist/api.cjs": b"module.exports = 1"}


class Npm:
    """Stands in for npm: packs what it is given, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 0
        self.archive = archive(CONTENTS)

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.calls += 1
        folder = Path(command[command.index("--pack-destination") + 1])
        if self.status == 0:
            (folder / "someone-engine-1.0.0.tgz").write_bytes(self.archive)
        return subprocess.CompletedProcess(command, self.status, "", "npm error code ENOTFOUND\nnpm error more\n")


def archive(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as members:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> Npm:
    made = Npm()
    parts = [
        Part(name, hashlib.sha256(content).hexdigest(), path)
        for (name, content), path in zip(CONTENTS.items(), ("code.wasm.gz", "api.js"), strict=True)
    ]
    integrity = f"sha512-{b64encode(hashlib.sha512(made.archive).digest()).decode()}"
    monkeypatch.setattr(sql_engine, "PACKAGES", (Package("@someone/engine", "1.0.0", integrity, parts),))
    monkeypatch.setattr(subprocess, "run", made)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    return made


def test_it_is_taken_once(npm: Npm, tmp_path: Path) -> None:
    first = engine(tmp_path / "cache")
    assert engine(tmp_path / "cache") == first
    assert npm.calls == 1
    assert [file.path for file in first] == ["engine/code.wasm.gz", "engine/api.js"]
    assert gzip.decompress(first[0].content) == CONTENTS["dist/code.wasm"]
    assert first[1].content == CONTENTS["dist/api.cjs"]


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8bnonsense", gzip.compress(b"other code", mtime=0)])
def test_a_damaged_cache_is_filled_anew(npm: Npm, tmp_path: Path, damage: bytes) -> None:
    first = engine(tmp_path)
    next(tmp_path.glob("*.gz")).write_bytes(damage)
    assert engine(tmp_path) == first
    assert npm.calls == 2


def test_another_archive_than_the_pinned_one_is_refused(npm: Npm, tmp_path: Path) -> None:
    npm.archive = archive(CONTENTS | {"dist/api.cjs": b"evil"})
    with pytest.raises(EngineError, match=r"another @someone/engine 1\.0\.0 than the one that is pinned"):
        engine(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_npm_says_is_passed_on(npm: Npm, tmp_path: Path) -> None:
    npm.status = 1
    with pytest.raises(EngineError, match="npm error code ENOTFOUND"):
        engine(tmp_path)


def test_without_npm_the_message_names_it(npm: Npm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EngineError, match=r"install Node\.js"):
        engine(tmp_path)
    assert npm.calls == 0
