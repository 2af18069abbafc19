"""Audits of datasets into the database: JSON files, which are the truth, one transaction each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
from pydantic import BaseModel, JsonValue, ValidationError

FOLDER: Final = "audits"
FORMAT: Final = 1


class _Finding(BaseModel):
    kind: str
    severity: str
    title: str
    detail: str
    images: list[str]
    numbers: dict[str, JsonValue]


class _Audit(BaseModel):
    """What the store keeps of an audit; a file may say more."""

    format: int
    dataset: str
    fingerprint: str
    findings: list[_Finding]


@dataclass(frozen=True)
class AuditFile:
    """An audit as it lies in the results folder."""

    content: bytes
    sha256: str


def audit_name(dataset: str, fingerprint: str) -> str:
    """What the file of a dataset's audit is called."""
    return f"{dataset}-{fingerprint}.json"


def audit_files(folder: Path) -> tuple[dict[str, AuditFile], dict[str, str]]:
    """The audits in a folder by file name, and for each that can't be read, why."""
    found: dict[str, AuditFile] = {}
    refused: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            content = path.read_bytes()
            _parsed(path.name, content)
        except OSError as error:
            refused[f"{FOLDER}/{path.name}"] = str(error.strerror or error)
        except ValueError as error:
            refused[f"{FOLDER}/{path.name}"] = _reason(error)
        else:
            found[path.name] = AuditFile(content, hashlib.sha256(content).hexdigest())
    return found, refused


def known_audits(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """SHA-256 of each audit that the database holds, by file name."""
    return {str(name): str(sha256) for name, sha256 in db.execute("select file, sha256 from audit").fetchall()}


def same(files: Mapping[str, AuditFile], known: Mapping[str, str]) -> bool:
    """Whether the database holds just these audits."""
    return {name: file.sha256 for name, file in files.items()} == known


def take_in(db: duckdb.DuckDBPyConnection, files: Mapping[str, AuditFile]) -> dict[str, str]:
    """Forget audits that are gone or changed, take in what the database lacks; what is refused, and why, by file name."""
    refused: dict[str, str] = {}
    known = known_audits(db)
    for name, sha256 in known.items():
        if name not in files or files[name].sha256 != sha256:
            _forget(db, name)
    for name, file in files.items():
        if known.get(name) == file.sha256:
            continue
        try:
            _add(db, name, file)
        except (duckdb.FatalException, duckdb.IOException):
            raise  # the database itself, not the file
        except Exception as error:  # whatever a file holds, it must not keep the others out
            refused[f"{FOLDER}/{name}"] = _reason(error)
    return refused


def _forget(db: duckdb.DuckDBPyConnection, name: str) -> None:
    db.begin()
    try:
        db.execute(
            "delete from finding using audit where audit.file = ? "
            "and finding.dataset = audit.dataset and finding.fingerprint = audit.fingerprint",
            [name],
        )
        db.execute("delete from audit where file = ?", [name])
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _add(db: duckdb.DuckDBPyConnection, name: str, file: AuditFile) -> None:
    audit = _parsed(name, file.content)
    rows = [
        (audit.dataset, audit.fingerprint, f.kind, f.severity, f.title, f.detail, json.dumps(f.images), json.dumps(f.numbers))
        for f in audit.findings
    ]
    db.begin()
    try:
        db.execute("insert into audit values (?, ?, ?, ?)", [name, file.sha256, audit.dataset, audit.fingerprint])
        if rows:
            db.executemany("insert into finding values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _parsed(name: str, content: bytes) -> _Audit:
    """What a file of that name holds. Raises ValueError if it is no audit, a newer adbench's, or another dataset's."""
    audit = _Audit.model_validate_json(content)
    if audit.format > FORMAT:
        raise ValueError("written by a newer adbench; upgrade: pip install --upgrade adbench-harness")
    if name != audit_name(audit.dataset, audit.fingerprint):
        raise ValueError(f"holds the audit of {audit.dataset} {audit.fingerprint}; rename the file back")
    return audit


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"is no audit of adbench: {f'{where}: ' if where else ''}{first['msg']}; audit the dataset again"
    return str(error).partition("\n")[0] or type(error).__name__
