"""Bundles that are damaged, forged or made to harm: each is refused with one error, and nothing is unpacked."""

from __future__ import annotations

import json
import pickle
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import AdbenchError, ArchiveError, DataError
from adbench_harness.bundles import form
from adbench_harness.bundles.opening import opened

Forge = Callable[..., Path]


def refusal(bundle: Path) -> str:
    with pytest.raises(AdbenchError) as error, opened(bundle):
        pass
    assert isinstance(error.value, DataError)
    assert "\n" not in str(error.value)
    assert str(bundle) in str(error.value)
    return str(error.value)


def test_a_whole_bundle_opens(made: Any) -> None:
    with opened(made.bundle) as bundle:
        assert bundle.index.runs == (made.run_id,)
        assert bundle.signature is None
        assert bundle.read(made.run_id, "scores.csv").startswith(b"image,subset,label,subtype,score\r\n")
        with pytest.raises(ValueError, match="ours"):  # an error of ours is not taken for damage
            raise_ours()


def raise_ours() -> None:
    raise ValueError("ours")


def test_a_bundle_that_is_cut_off_or_none(made: Any, tmp_path: Path) -> None:
    whole = made.bundle.read_bytes()
    cut = tmp_path / "cut.adbench"
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        assert "damaged, cut off or no bundle" in refusal(cut)
    assert "no such file" in refusal(tmp_path / "none.adbench")
    with zipfile.ZipFile(cut, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "has no index.json, so it is no bundle" in refusal(cut)


def test_a_byte_that_changed_on_the_way(made: Any, tmp_path: Path) -> None:
    whole = bytearray(made.bundle.read_bytes())
    whole[whole.index(b",test,") + 6] ^= 1
    bent = tmp_path / "bent.adbench"
    bent.write_bytes(whole)
    assert "Bad CRC-32" in refusal(bent)


def test_a_file_that_is_another_than_the_index_names(forge: Forge) -> None:
    altered = refusal(forge({"scores.csv": lambda old: old.replace(b"0.", b"1.", 1)}, fitting=False))
    assert "scores.csv is not the file that was exported" in altered
    longer = refusal(forge({"scores.csv": lambda old: old + b"\n"}, fitting=False))
    assert "scores.csv is not the file that was exported" in longer


def test_a_missing_and_an_extra_file(made: Any, forge: Forge) -> None:
    assert f"lacks runs/{made.run_id}/curves.csv, which its index names" in refusal(forge({"curves.csv": None}, fitting=False))
    assert f"run {made.run_id} lacks curves.csv" in refusal(forge({"curves.csv": None}))
    assert "'runs/run.sh' is not in its index, refused" in refusal(forge(extra={"runs/run.sh": b"rm -rf ~"}))
    assert "weights.pt' is no file of a bundle, refused" in refusal(forge({"weights.pt": pickle.dumps({"w": 1})}))
    assert "'elsewhere/scores.csv' is no file of a bundle" in refusal(
        forge(extra={"elsewhere/scores.csv": b""}, index=lambda index: index["files"].update({"elsewhere/scores.csv": EMPTY}))
    )


EMPTY = {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "runs/../../evil", "C:\\evil", "a\nb"])
def test_a_member_that_leads_elsewhere(forge: Forge, name: str, tmp_path: Path) -> None:
    assert "refused; nothing was imported" in refusal(forge(extra={name: b"evil"}))
    assert "is no file of a bundle, refused" in refusal(
        forge(extra={name: b""}, index=lambda index: index["files"].update({name: EMPTY}))
    )
    assert not list(tmp_path.parent.rglob("evil"))


@pytest.mark.parametrize("run_id", ["../evil", "/evil", ".hidden", "", "a/b", "a\nb", "x" * 201])
def test_an_id_that_leads_elsewhere(forge: Forge, run_id: str) -> None:
    assert "is no id of a run, refused" in refusal(forge(index=lambda index: index.update(runs=[run_id])))


def test_two_copies_of_a_run_or_a_member(made: Any, forge: Forge) -> None:
    twice = forge(index=lambda index: index.update(runs=[made.run_id, made.run_id]))
    assert f"names run {made.run_id} twice" in refusal(twice)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = forge()
        with zipfile.ZipFile(again, "a") as archive:
            archive.writestr(f"runs/{made.run_id}/scores.csv", b"image,subset,label,subtype,score\r\n")
    assert "scores.csv' is there twice, refused" in refusal(again)


def test_bombs_are_refused_before_anything_is_unpacked(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = forge({"curves.csv": b"0" * 10_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2_000_000
    said = refusal(bomb)
    assert "is compressed and would unpack to" in said
    monkeypatch.setitem(form.LARGEST, form.CURVES, 1000)
    assert "has 1,001 bytes, more than 1,000, refused" in refusal(forge({"curves.csv": b"0" * 1001}))
    monkeypatch.setitem(form.LARGEST, form.INDEX, 10)
    assert "index.json has" in refusal(forge())


def test_members_that_lie_over_each_other_are_a_bomb(forge: Forge) -> None:
    bomb = forge({"curves.csv": b"0" * 1_000_000})
    content = bomb.read_bytes()
    place = content.rindex(b"PK\x01\x02")  # the directory's last entry, said to be as large as all others together
    size = len(content).to_bytes(4, "little")
    bomb.write_bytes(content[: place + 20] + size + size + content[place + 28 :])
    assert "its members have" in refusal(bomb)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_links_folders_and_devices(forge: Forge, kind: int) -> None:
    bundle = forge()
    with zipfile.ZipFile(bundle, "a") as archive:
        info = zipfile.ZipInfo("runs/link")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="is a folder, a link or a device, refused"), opened(bundle):
        pass


def test_an_encrypted_member(forge: Forge) -> None:
    bundle = forge()
    content = bytearray(bundle.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    bundle.write_bytes(content)
    assert "is encrypted, refused" in refusal(bundle)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "a bundle of format 2, and this adbench reads format 1; upgrade: pip install"),
        ({"format": 0}, "a bundle of format 0, and this adbench reads format 1; ask the sender"),
        ({"format": "new"}, "index.json is not the index of a bundle"),
        ({"runs": []}, "holds no run"),
        ({"code": "import os"}, "index.json is not the index of a bundle: code: Extra inputs are not permitted"),
        ({"files": {"x": {"bytes": -1, "sha256": "0"}}}, "index.json is not the index of a bundle: files.x.bytes"),
    ],
)
def test_an_index_of_another_form(forge: Forge, change: dict[str, Any], said: str) -> None:
    assert said in refusal(forge(index=lambda index: index.update(change)))


def test_an_index_that_is_no_json_or_nested_without_end(forge: Forge, tmp_path: Path) -> None:
    for content in (b"\xff", b"not json", b"[" * 100_000, pickle.dumps({"format": 1}), json.dumps([1]).encode()):
        bundle = tmp_path / "other.adbench"
        with zipfile.ZipFile(bundle, "w") as archive:
            archive.writestr("index.json", content)
        assert "index.json is not the index of a bundle" in refusal(bundle)
