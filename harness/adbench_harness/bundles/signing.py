"""Who sent it: SSH signatures of a bundle's index, made and checked by OpenSSH's ssh-keygen, which most people have with their keys."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..api import DataError, OptionError
from .form import printable
from .opening import Bundle

NAMESPACE: Final = "adbench-bundle"
"""Keeps a signature of a bundle from being taken for one of anything else, and the other way round."""
PROGRAM: Final = "ssh-keygen"
NOT_HERE: Final = f"{PROGRAM} is not installed; it comes with OpenSSH 8.2 or later (Debian: apt install openssh-client)"


@dataclass(frozen=True)
class Signature:
    """What a signature tells."""

    signer: str | None
    """As the list of signers calls the key's owner; None without a list."""
    key: str
    """Fingerprint of the key, SHA-256."""


def sign(content: bytes, key: Path) -> bytes:
    """The signature of an index by a key: a private key's file, or a public key's whose private one an agent holds.

    Raises:
        OptionError: if ssh-keygen is not installed, or can't use the key.
    """
    if not key.is_file():
        raise OptionError(f"--sign {key}: no such file; make a key with: ssh-keygen -t ed25519")
    try:  # stays open for a passphrase: ssh-keygen asks on the terminal
        done = subprocess.run(
            [PROGRAM, "-Y", "sign", "-f", key, "-n", NAMESPACE], input=content, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise OptionError(f"--sign {key}: {NOT_HERE}") from None
    if done.returncode:
        raise OptionError(f"--sign {key}: {PROGRAM} says: {_said(done)}")
    return done.stdout


def check_signature(bundle: Bundle, signers: Path | None) -> Signature | None:
    """Whose signature a bundle has; None if it has none, or if it can't be looked at here and nobody asked who it is of.

    Args:
        bundle: the bundle.
        signers: a list of keys that are trusted, in the form that ``man ssh-keygen`` describes under ALLOWED SIGNERS. With one, a
            bundle must be signed: who takes a signature off a bundle must not make it pass.

    Raises:
        OptionError: if there is no such list, or no ssh-keygen to read it.
        DataError: if the signature is bad, of a key that is not in the list, or missing although there is a list.
    """
    if signers is not None and not signers.is_file():
        raise OptionError(
            f"--signers {signers}: no such file; a line of it is: NAME KEYTYPE KEY (see: man ssh-keygen, ALLOWED SIGNERS)"
        )
    if bundle.signature is None:
        if signers is not None:
            raise DataError(f"{bundle.path}: is not signed, refused; without --signers it can be imported unsigned")
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "signature")
        file.write_bytes(bundle.signature)
        try:
            return _look(bundle, file, signers)
        except FileNotFoundError:
            if signers is not None:
                raise OptionError(f"--signers {signers}: {NOT_HERE}") from None
            return None


def _look(bundle: Bundle, file: Path, signers: Path | None) -> Signature:
    if signers is None:
        return Signature(None, _key(_run(bundle, "check-novalidate", "-s", file), bundle))
    found = _run(bundle, "find-principals", "-s", file, "-f", signers)
    if found.returncode:
        _key(_run(bundle, "check-novalidate", "-s", file), bundle)
        raise DataError(f"{bundle.path}: signed with a key that is not in {signers}, refused; nothing was imported")
    signer = found.stdout.decode("utf-8", "replace").split("\n")[0].strip()
    return Signature(printable(signer, 200), _key(_run(bundle, "verify", "-s", file, "-f", signers, "-I", signer), bundle))


def _run(bundle: Bundle, action: str, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    named = [] if action == "find-principals" else ["-n", NAMESPACE]
    command = [PROGRAM, "-Y", action, *named, *words]
    return subprocess.run(command, input=bundle.index_content, capture_output=True, check=False)


def _key(done: subprocess.CompletedProcess[bytes], bundle: Bundle) -> str:
    """The fingerprint that a good signature is said to have. Raises DataError for a bad one."""
    found = re.search(r"key (SHA256:[A-Za-z0-9+/=]+)", done.stdout.decode("utf-8", "replace"))
    if done.returncode or found is None:
        raise DataError(f"{bundle.path}: its signature is bad ({_said(done)}), refused; nothing was imported")
    return found[1]


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[0] if lines else f"exit status {done.returncode}")
