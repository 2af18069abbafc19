from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.api import DataError, DatasetSpec, Edition, ManifestEntry, Sample
from adbench_harness.data.importing import import_dataset
from adbench_harness.data.listing import listing
from adbench_harness.data.verifying import verify_folder
from adbench_harness.home import Home

FILES = {"no/1.png": b"first", "yes/1.png": b"second", "pred/1.png": b"third"}
SAMPLES = [Sample("no/1.png", "no/1.png", 0), Sample("yes/1.png", "yes/1.png", 1, "tumor")]


def made(files: dict[str, bytes] = FILES) -> DatasetSpec:
    entries = [ManifestEntry(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()]
    words: dict[str, Any] = dict.fromkeys(("title", "modality", "organ", "citation", "licence", "source", "group_rule"), "")
    return DatasetSpec(
        name="made", samples=lambda root: SAMPLES, editions=[Edition("original", lambda: entries, optional=("pred",))], **words
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for path, data in FILES.items():
        (tmp_path / "src" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / path).write_bytes(data)
    return tmp_path / "src"


def test_an_untouched_copy_is_an_edition_and_litter_and_second_copies_do_not_count(source: Path, home: Home) -> None:
    (source / ".DS_Store").write_bytes(b"x")
    (source / "copy" / "no").mkdir(parents=True)
    (source / "copy" / "no" / "1.png").write_bytes(b"another")
    (source / "notes.txt").write_text("mine")
    found = verify_folder(made(), source, home)
    assert found.edition == "original"
    assert found.others == ("copy/no/1.png", "notes.txt")


def test_a_run_on_the_original_knows_its_edition_whether_or_not_it_was_imported(source: Path, home: Home) -> None:
    import_dataset(made(), source, home)
    assert listing(made(), home).standing.edition == "original"
    (home.dataset("made") / "pred" / "1.png").unlink()
    assert listing(made(), home).standing.edition == "original"


def test_files_altered_after_the_import_are_refused_until_they_are_taken_in_as_partial(source: Path, home: Home) -> None:
    import_dataset(made(), source, home)
    whole = listing(made(), home)
    (home.dataset("made") / "no" / "1.png").write_bytes(b"retouched")
    with pytest.raises(
        DataError, match=r"is not the original of made: 1 altered \(no/1.png\); see every file: adbench datasets verify"
    ):
        listing(made(), home)
    (source / "no" / "1.png").write_bytes(b"retouched")
    import_dataset(made(), source, home, allow_partial=True)
    part = listing(made(), home)
    assert (part.standing.edition, part.standing.partial) == (None, "1 altered")
    assert part.fingerprint != whole.fingerprint


def test_a_partial_copy_with_all_samples_still_has_a_fingerprint_of_its_own(source: Path, home: Home) -> None:
    import_dataset(made(), source, home)
    whole = listing(made(), home).fingerprint
    more = made({**FILES, "Licence.txt": b"words"})
    import_dataset(more, source, home, allow_partial=True)
    found = listing(more, home)
    assert found.standing.partial == "1 missing"
    assert found.fingerprint != whole


def test_a_dataset_without_a_manifest_has_nothing_to_be_compared_with(source: Path, home: Home) -> None:
    spec = replace(made(), editions=())
    with pytest.raises(DataError, match="no manifest"):
        verify_folder(spec, source, home)
