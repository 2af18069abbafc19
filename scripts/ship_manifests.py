"""The manifests that ship with the datasets: writes NAME.tsv.gz for each NAME.tsv.

    python scripts/ship_manifests.py SRC_DIR [--output DIR]

SRC_DIR holds a tab-separated table NAME.tsv for each dataset, with a header and one row for each file of the original. Of
its columns path, sha256 and bytes are kept; others, such as the format and size of the image, are left out. Rows stay in
their order. The compressed file has no name and no time in its header, so that the same table gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
from pathlib import Path
from typing import Final

from adbench_datasets import shipped_manifests
from adbench_datasets.shipped_manifests import COLUMNS, SUFFIX

FOLDER: Final = Path(shipped_manifests.__file__).with_name(shipped_manifests.FOLDER)


def reduce_table(source: Path) -> str:
    """The table with the kept columns only."""
    with source.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        lost = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if lost:
            raise SystemExit(f"{source} lacks the column {', '.join(lost)}")
        lines = ["\t".join(row[column] for column in COLUMNS) for row in reader]
    return "\n".join(["\t".join(COLUMNS), *lines]) + "\n"


def compress(text: str) -> bytes:
    """The text as gzip, without a time or a file name; gzip.compress also writes which system it ran on."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    return packed.getvalue()


def main() -> None:
    """Write every manifest."""
    parser = argparse.ArgumentParser(description="Write the manifests that ship with the datasets.")
    parser.add_argument("source", type=Path, metavar="SRC_DIR", help="folder of the tables NAME.tsv")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to (default: the one in the package)")
    arguments = parser.parse_args()
    tables = sorted(arguments.source.glob("*.tsv"))
    if not tables:
        raise SystemExit(f"{arguments.source} holds no table NAME.tsv")
    for table in tables:
        packed = compress(reduce_table(table))
        (arguments.output / f"{table.stem}{SUFFIX}").write_bytes(packed)
        print(f"{table.stem}{SUFFIX}: {len(packed)} bytes")


if __name__ == "__main__":
    main()
