"""The tables that readers of the site ask with SQL: what they hold, and their bytes.

They are Arrow streams, not a DuckDB file, because two such files of the same rows differ in bytes that nothing fixes. The scores are
a file for each dataset, so that a new run changes the one of its dataset only.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from .. import names
from ..site import Site

ROWS: Final = 122_880
"""Rows a batch: as many as DuckDB keeps together."""
FOLDER: Final = "data/explore"

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "run": {
        "run_id": "names the run",
        "model": "name of the detector's plugin",
        "variant": "name of the detector with these options, as the site shows it",
        "options": "its options, as JSON",
        "dataset": "name of the dataset",
        "fingerprint": "digest of the dataset's files, labels and groups",
        "protocol": "name of the rules",
        "protocol_version": "their version",
        "fit_digest": "digest of the rules of training; compare only runs that share it",
        "evaluation_digest": "digest of the rules of evaluation",
        "ranked": "whether it stands in the site's tables",
        "unranked": "why it is compared with nothing; null if it may be ranked",
        "status": "run here, or sent in by others: self-reported, re-scored or re-trained",
        "newest": "whether no run that is better known, or newer, has the same model, options, data, rules, split and seed",
        "split": "number of the split into training and test images",
        "seed": "seed of everything that is drawn at random",
        "created": "when it was made, UTC",
        "device": "what it was made on",
        "seconds": "how long it took",
        "parameters": "how many numbers were learnt",
    },
    "score": {
        "run_id": "the run",
        "image": "id of the image in its dataset",
        "label": "1 abnormal, 0 normal",
        "subtype": "kind of image",
        "group_id": "whose image it is: patient, eye, film pair; null if unknown",
        "subset": "test, or held_out: normal images that only set the threshold",
        "score": "the higher, the more anomalous; scores of two runs have no common scale",
    },
    "task": {
        "run_id": "the run",
        "task": "a task with some of the abnormal images; the task all has every one and is not listed",
        "subtype": "a kind of abnormal image that belongs to it",
    },
    "metric": {
        "run_id": "the run",
        "task": "which abnormal images: all, or a task",
        "rule": "how the threshold was chosen; none for figures without one",
        "oracle": "whether that rule saw test labels",
        "name": "name of the figure, such as roc_auc, sensitivity, specificity",
        "value": "the figure",
        "low": "lower end of its 95 % interval; null if it has none",
        "high": "upper end",
        "method": "where the interval comes from",
    },
    "part_metric": {
        "run_id": "the run",
        "part": "which part of the test images",
        "task": "which abnormal images: all, or a task",
        "rule": "how the threshold was chosen; none for figures without one",
        "oracle": "whether that rule saw test labels",
        "name": "name of the figure",
        "value": "the figure",
        "low": "lower end of its 95 % interval; null if it has none",
        "high": "upper end",
        "method": "where the interval comes from",
    },
    "curve": {
        "run_id": "the run",
        "phase": "phase of training",
        "name": "what was logged",
        "epoch": "number of the epoch",
        "value": "its value",
    },
}
"""What each column of each table says."""


@dataclass(frozen=True)
class Packed:
    """A table, or a part of one, as it lies on the site."""

    table: str
    path: str
    content: bytes
    """An Arrow stream, packed with gzip."""
    rows: int


def packed(site: Site) -> Iterator[Packed]:
    """Every table of a site, the scores a dataset at a time."""
    yield _pack("run", f"{FOLDER}/run.arrow.gz", _runs(site))
    for table in COLUMNS:
        if table == "score":
            for dataset in site.datasets:
                path = f"{FOLDER}/score-{names.slug(dataset)}.arrow.gz"
                yield _pack(table, path, _asked(site, table, [dataset]))
        elif table != "run":
            yield _pack(table, f"{FOLDER}/{table}.arrow.gz", _asked(site, table))


def _runs(site: Site) -> Any:
    import pyarrow as pa

    rows = [
        {name: getattr(run, name) for name in COLUMNS["run"] if hasattr(run, name)}
        | {"ranked": run.unranked is None and run.newest}
        for run in site.runs
    ]
    whole = dict.fromkeys(("protocol_version", "split", "seed", "parameters"), pa.int64())
    kinds = dict.fromkeys(("ranked", "newest"), pa.bool_()) | whole | {"seconds": pa.float64()}
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS["run"]]))


def _asked(site: Site, table: str, values: Sequence[str] = ()) -> Any:
    if site.db is None:
        raise ValueError("a site with runs has a database")
    sql = (files("adbench_leaderboard") / "sql" / "explore" / f"{table}.sql").read_text(encoding="utf-8")
    return site.db.sql(sql, params=list(values)).to_arrow_table()


def _pack(table: str, path: str, rows: Any) -> Packed:
    import pyarrow as pa
    from pyarrow import ipc

    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).combine_chunks().dictionary_encode())
    plain = io.BytesIO()
    with ipc.new_stream(plain, rows.schema) as stream:
        stream.write_table(rows, max_chunksize=ROWS)
    return Packed(table, path, gzip.compress(plain.getvalue(), 6, mtime=0), rows.num_rows)
