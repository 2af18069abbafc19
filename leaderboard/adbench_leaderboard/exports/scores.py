"""Every score as Parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import duckdb

from ..site import File

PATH: Final = "data/scores.parquet"
ROWS: Final = 122_880
"""Rows a group, which a reader may skip."""
COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "run_id": ("text", "The run, as in runs.csv and leaderboard.json, which say its model, protocol, split and seed."),
    "dataset": ("text", "Name of the dataset."),
    "image": ("text", "Id of the image in its dataset."),
    "label": ("8-bit integer", "1 abnormal, 0 normal."),
    "subset": ("text", "test, or held_out: normal images that choose the threshold of an honest rule and are judged by nothing."),
    "score": (
        "64-bit float",
        "The higher, the more anomalous. Scores of two runs have no common scale; only their order within a run counts.",
    ),
}
"""Type and meaning of each column."""


def scores(db: duckdb.DuckDBPyConnection) -> File:
    """All scores, by dataset, run, subset and image: the same scores give the same bytes."""
    import pyarrow.parquet as pq

    query = (files(__package__) / "scores.sql").read_text(encoding="utf-8")
    out, writer = io.BytesIO(), None
    # A dataset at a time, and on a cursor: the connection may not have been read to the end of what was asked before.
    with db.cursor() as cursor:
        for (dataset,) in cursor.execute("select distinct dataset from run order by dataset").fetchall():
            table = cursor.sql(query, params=[dataset]).to_arrow_table()
            if writer is None:
                writer = pq.ParquetWriter(
                    out,
                    table.schema,
                    compression="zstd",
                    use_dictionary=["run_id", "dataset", "image", "subset"],
                    # A sorted file says where to look; scores are as good as random.
                    write_statistics=["run_id", "dataset"],
                    store_schema=False,
                )
            writer.write_table(table, row_group_size=ROWS)
    if writer is not None:
        writer.close()
    return File(PATH, out.getvalue())
