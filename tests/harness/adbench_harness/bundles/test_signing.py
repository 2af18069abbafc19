from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import DataError, OptionError
from adbench_harness.bundles.opening import Bundle, opened
from adbench_harness.bundles.signing import check_signature, sign
from adbench_harness.bundles.writing import Wanted, write_bundle

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
MakeKey = Callable[[str], Path]


@pytest.fixture
def key(tmp_path: Path) -> MakeKey:
    def make(name: str) -> Path:
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    return make


@pytest.fixture
def signers(tmp_path: Path) -> Callable[..., Path]:
    def make(**keys: Path) -> Path:
        path = tmp_path / "allowed_signers"
        path.write_text("".join(f"{name}@lab {key.with_suffix('.pub').read_text()}" for name, key in keys.items()))
        return path

    return make


@pytest.fixture
def signed(made: Any, key: MakeKey, tmp_path: Path) -> Path:
    return write_bundle(made.results, [made.run_id], tmp_path / "signed.adbench", Wanted(key=key("ann"))).path


def looked_at(path: Path, signers: Path | None, change: Callable[[Bundle], Bundle] = lambda bundle: bundle) -> Any:
    with opened(path) as bundle:
        return check_signature(change(bundle), signers)


@needs_openssh
def test_who_signed_is_told_by_the_list_alone(signed: Path, signers: Any, tmp_path: Path) -> None:
    found = looked_at(signed, signers(ann=tmp_path / "ann"))
    assert found.signer == "ann@lab"
    assert found.key.startswith("SHA256:")
    assert looked_at(signed, None) == replace(found, signer=None)


@needs_openssh
def test_a_key_that_is_not_in_the_list(signed: Path, signers: Any, key: MakeKey) -> None:
    with pytest.raises(DataError, match=r"signed with a key that is not in .*allowed_signers, refused"):
        looked_at(signed, signers(bob=key("bob")))


@needs_openssh
def test_a_signature_of_something_else_or_none_at_all(signed: Path, signers: Any, tmp_path: Path) -> None:
    listed = signers(ann=tmp_path / "ann")
    other = sign(b"another index", tmp_path / "ann")
    command = ["ssh-keygen", "-Y", "sign", "-f", str(tmp_path / "ann"), "-n", "file"]
    with opened(signed) as bundle:
        elsewhere = subprocess.run(command, input=bundle.index_content, capture_output=True, check=True).stdout
    for content in (other, elsewhere, b"garbage", b""):
        for known in (None, listed):
            with pytest.raises(DataError, match=r"its signature is bad \(.+\), refused; nothing was imported"):
                looked_at(signed, known, lambda bundle, content=content: replace(bundle, signature=content))  # type: ignore[misc]


@needs_openssh
def test_taking_the_signature_off_does_not_make_a_bundle_pass(signed: Path, signers: Any, tmp_path: Path) -> None:
    def without(bundle: Bundle) -> Bundle:
        return replace(bundle, signature=None)

    with pytest.raises(DataError, match="is not signed, refused; without --signers it can be imported unsigned"):
        looked_at(signed, signers(ann=tmp_path / "ann"), without)
    assert looked_at(signed, None, without) is None


@needs_openssh
def test_a_key_that_can_t_sign(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file; make a key with: ssh-keygen"):
        sign(b"", tmp_path / "none")
    (tmp_path / "none").write_text("no key")
    with pytest.raises(OptionError, match=r"--sign .*none: ssh-keygen says: "):
        sign(b"", tmp_path / "none")


def test_without_openssh_it_is_said(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    key = tmp_path / "key"
    key.touch()
    with pytest.raises(OptionError, match="ssh-keygen is not installed; it comes with OpenSSH"):
        sign(b"", key)
    with pytest.raises(OptionError, match=r"--signers .*key: ssh-keygen is not installed"):
        looked_at(made.bundle, key, lambda bundle: replace(bundle, signature=b"x"))
    assert looked_at(made.bundle, None, lambda bundle: replace(bundle, signature=b"x")) is None
    with pytest.raises(OptionError, match=r"--signers .*nobody: no such file"):
        looked_at(made.bundle, tmp_path / "nobody")
