from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import pytest

from adbench_harness.home import Home, Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_harness.store.migrations import migrate
from adbench_leaderboard import queries
from adbench_leaderboard.images.evidence import IMAGES, SETS, Evidence, evidence
from adbench_leaderboard.images.pictures import Source
from adbench_leaderboard.pages import dataset
from adbench_leaderboard.site import Choices, File, Site
from adbench_leaderboard.tables import DatasetKey
from adbench_leaderboard.templating import Templates
from adbench_leaderboard.views.soundness import Finding

Show = Callable[..., tuple[list[Evidence | None], list[File]]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source.of("phantom", Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def ids(source: Source) -> Sequence[str]:
    return sorted(source.samples)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        migrate(opened)
        yield opened


@pytest.fixture
def show(db: duckdb.DuckDBPyConnection, source: Source, tmp_path: Path) -> Show:
    def shown(findings: Sequence[Finding], duplicates: Mapping[str, object]) -> tuple[list[Evidence | None], list[File]]:
        state = DatasetKey("phantom", source.listing.fingerprint)
        found = {"byte_equal": [], "pixel_equal": [], "near": [], **duplicates}
        content = json.dumps({"protocol": "study", "split": 0, "duplicates": found})
        (tmp_path / "phantom.json").write_text(content, encoding="utf-8")
        digest = hashlib.sha256(content.encode()).hexdigest()
        db.execute("insert or replace into audit values ('phantom.json', ?, ?, ?)", [digest, *state])
        return evidence(db, tmp_path, state, findings, source)

    return shown


def finding(kind: str, named: Sequence[str], **numbers: int) -> Finding:
    return Finding(kind, "warning", "title", "detail", sorted(named), numbers)


def near(first: str, second: str, orientation: str = "as it is") -> dict[str, object]:
    return {"first": first, "second": second, "orientation": orientation, "distance": 2, "correlation": 0.95}


def test_copies_stand_side_by_side_and_nothing_is_shown_of_what_names_none(show: Show, ids: Sequence[str]) -> None:
    a, b, c, d = ids[:4]
    (pairs, equal, none), pictures = show(
        [finding("near-duplicate", [a, b]), finding("byte-equal", [c, d]), finding("shortcut", [])],
        {"near": [near(a, b, "mirrored left to right"), near(c, "not named")], "byte_equal": [[c, d]], "pixel_equal": [[c, d]]},
    )
    assert none is None
    assert pairs is not None
    assert equal is not None
    assert [[one.image for one in group.shown] for group in pairs.sets] == [[a, b]]
    assert (
        pairs.sets[0].note
        == "the second mirrored left to right is the first, hashes differ in 2 of 256 bits, detail correlates 0.950"
    )
    assert [[one.image for one in group.shown] for group in equal.sets] == [[c, d]]
    assert {one.picture for group in (*pairs.sets, *equal.sets) for one in group.shown} == {file.path for file in pictures}
    assert all(file.content.startswith(b"\xff\xd8") for file in pictures)


def test_only_the_first_are_shown_and_how_many_there_are(show: Show, ids: Sequence[str]) -> None:
    groups = [list(ids[start : start + 10]) for start in range(0, 80, 10)]
    named = [image for group in groups for image in group]
    (equal, single), pictures = show(
        [finding("pixel-equal", named), finding("one-label-category", named)], {"pixel_equal": groups}
    )
    assert equal is not None
    assert single is not None
    assert (equal.number, len(equal.sets), equal.single) == (8, SETS, False)
    assert {(group.images, len(group.shown)) for group in equal.sets} == {(10, IMAGES)}
    assert (single.number, len(single.sets), single.single) == (80, SETS, True)
    assert len(pictures) < SETS * IMAGES + SETS  # an image of both is one file


def test_a_leak_shows_both_sides_if_the_runs_were_split_as_the_audit_was(
    show: Show, db: duckdb.DuckDBPyConnection, ids: Sequence[str]
) -> None:
    group, lone = list(ids[:9]), ids[20]
    show([], {})
    db.execute(
        "insert into run by name select 'r' as run_id, 'pca' as model, 'pca' as variant, '{}' as options, 'phantom' as dataset, "
        "(select fingerprint from audit) as fingerprint, 'study' as protocol, 1 as protocol_version, 'f' as fit_digest, "
        "'e' as evaluation_digest, 0 as split, 0 as seed, now()::timestamp as created, 'cpu' as device, 1 as seconds, "
        "1 as parameters, '{}' as manifest"
    )
    for image in (*group[6:], lone):
        db.execute(
            "insert into score by name select 'r' as run_id, ? as image, 0 as label, 'normal' as subtype, 'test' as subset, 1 as score",
            [image],
        )
    links = {"near": [near(group[0], other) for other in group[1:]]}
    counted = {"test": 3, "test in all": 4}
    (leak,), _ = show([finding("near-across-split", group, **counted)], links)
    assert leak is not None
    assert [one.facts[-1] for one in leak.sets[0].shown] == ["test image", "learnt from"] * 2
    # Of another split the runs say nothing.
    (other,), _ = show([finding("near-across-split", group, **{**counted, "test in all": 5})], links)
    assert other is not None
    assert [one.image for one in other.sets[0].shown] == group[:IMAGES]
    assert {len(one.facts) for one in other.sets[0].shown} == {1}


def test_nothing_is_shown_of_other_files_of_no_files_and_of_an_audit_that_was_altered(
    show: Show, db: duckdb.DuckDBPyConnection, source: Source, ids: Sequence[str], tmp_path: Path
) -> None:
    named = [finding("byte-equal", ids[:2])]
    (shown,), _ = show(named, {"byte_equal": [list(ids[:2])]})
    assert shown is not None
    state = DatasetKey("phantom", source.listing.fingerprint)
    assert evidence(db, tmp_path, state, named, None) == ([None], [])
    assert evidence(db, tmp_path, DatasetKey("phantom", "a" * 16), named, source) == ([None], [])
    (tmp_path / "phantom.json").write_text("{}", encoding="utf-8")
    assert evidence(db, tmp_path, state, named, source) == ([None], [])
    assert evidence(db, None, state, named, source) == ([None], [])


def test_the_page_shows_them_with_their_licence(
    results: Results, make_run: Callable[..., str], source: Source, ids: Sequence[str], tmp_path: Path
) -> None:
    fingerprint = source.listing.fingerprint
    make_run("a", fingerprint=fingerprint, overrides={"epochs": "2"})  # unranked, so no figure is drawn
    found = {
        "format": 1,
        "dataset": "phantom",
        "fingerprint": fingerprint,
        "protocol": "study",
        "split": 0,
        "findings": [
            {"kind": "pixel-equal", "severity": "warning", "title": "two", "detail": "", "images": ids[:2], "numbers": {}},
            {
                "kind": "pixel-equal",
                "severity": "warning",
                "title": "strange",
                "detail": "",
                "images": ["<b>", ids[2]],
                "numbers": {},
            },
        ],
        "duplicates": {"byte_equal": [], "pixel_equal": [ids[:2], ["<b>", ids[2]]], "near": []},
    }
    results.audits.mkdir()
    (results.audits / f"phantom-{fingerprint}.json").write_text(json.dumps(found), encoding="utf-8")
    ingest(results)

    def made(*names: str) -> dict[str, bytes]:
        with reading(results.database) as db:
            choices = Choices(frozenset(names), results.runs, Home(tmp_path), audits=results.audits)
            site = Site(db, queries.runs(db), "0", choices)
            return {file.path: file.content for file in dataset.files(site, Templates.of(site))}

    shown = made("phantom")
    page = shown.pop("dataset/phantom.html").decode()
    assert "Licence of the images: CC0" in page
    assert page.count('width="128" height="128"') == 3
    assert page.count('loading="lazy"') == 3
    assert f'alt="Image {ids[0]}, ' in page
    assert "1 of 2 images" in page  # the files have no such image as <b>
    assert len(shown) == 3
    assert all(f'src="../{path}"' in page for path in shown)
    assert list(made()) == ["dataset/phantom.html"]
    assert b"<img" not in made()["dataset/phantom.html"]
