"""What the database holds of a run, worked out from its folder: by the process that made it, so that the one that writes only writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..api import StoreError
from ..manifest import Manifest
from ..metrics.evaluation import Figure
from ..result import check_files, read_curves, read_learnt, read_manifest, read_scores
from ..status import checks_text, doubt, read_checks, status_of
from .audits import AuditFile, audit_name
from .figures import Rulebook, check_counts, figure_table, figures, part_figures, part_table, tasks
from .leaks import links


@dataclass(frozen=True)
class Evaluated:
    """A run's rows, and what they follow from."""

    manifest: Manifest
    digest: str
    """Of the evaluation rules."""
    key: str
    """Of all that decides the figures, besides the scores."""
    figures: Sequence[Figure]
    """Of the whole test set."""
    tables: Mapping[str, pa.Table]
    """Rows of each table but ``run``, less the run."""

    def row(self, standing: Mapping[str, str | None]) -> list[object]:
        """The row of table ``run``."""
        manifest = self.manifest
        cell, protocol = manifest.cell, manifest.protocol
        return [
            manifest.run_id,
            cell.model,
            manifest.variant,
            json.dumps(cell.options, sort_keys=True),
            cell.dataset,
            manifest.dataset["fingerprint"],
            cell.protocol,
            protocol["version"],
            cell.fit_digest,
            self.digest,
            cell.split,
            cell.seed,
            manifest.created.removesuffix("Z"),
            manifest.compute["device_name"],
            sum(manifest.timings.values()),
            manifest.model["parameters"],
            manifest.model_dump_json(),
            standing["unranked"],
            self.key,
            standing["status"],
            standing["checks"],
        ]


def whole(folder: Path) -> Manifest:
    """The manifest of a run folder whose files are those that the run wrote. Raises StoreError, also for a folder of another name."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if manifest.run_id != folder.name:
        raise StoreError(f"{folder} holds run {manifest.run_id}; rename the folder back")
    return manifest


def key_of(manifest: Manifest, audits: Mapping[str, AuditFile], rules: Rulebook) -> str:
    """What decides a run's figures now, besides its scores. Raises StoreError if its rules can't be told."""
    audit = _audit(manifest, audits)
    return rules.of(manifest).key(audit.sha256 if audit is not None else None)


def evaluate_run(folder: Path, audits: Mapping[str, AuditFile], rules: Rulebook) -> Evaluated:
    """Every figure of a run, and its rows.

    Raises:
        StoreError: if the folder is not as the run wrote it, or its rules can't be told.
    """
    manifest = whole(folder)
    scores, learnt = read_scores(folder), read_learnt(folder)
    check_counts(manifest, scores)
    audit, judged = _audit(manifest, audits), rules.of(manifest)
    found = figures(manifest, scores, judged.rules)
    parts = part_figures(manifest, scores, judged.rules, learnt, links(audit.content) if audit is not None else None)
    named = [{"task": task, "subtype": subtype} for task, subtypes in tasks(manifest) for subtype in subtypes]
    tables = {
        "score": scores.table(),
        "curve": read_curves(folder),
        "metric": figure_table(found),
        "part_metric": part_table(parts),
        "task": pa.Table.from_pylist(named, schema=pa.schema([("task", pa.string()), ("subtype", pa.string())])),
    }
    return Evaluated(manifest, judged.digest, key_of(manifest, audits, rules), found, tables)


def standing(manifest: Manifest, folder: Path) -> dict[str, str | None]:
    """How far a run can be believed, and whether that keeps it from being ranked. Raises StoreError for a file that can't be read."""
    checks = read_checks(folder, manifest.run_id)
    unranked = "; ".join(filter(None, (doubt(manifest, checks), manifest.unranked))) or None
    return {"unranked": unranked, "status": status_of(manifest, checks), "checks": checks_text(folder)}


def _audit(manifest: Manifest, audits: Mapping[str, AuditFile]) -> AuditFile | None:
    return audits.get(audit_name(manifest.cell.dataset, str(manifest.dataset["fingerprint"])))
