"""The checklist page: every item of the guidelines, and answers that the store gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.checklist.answers import ANSWERS, lines
from adbench_leaderboard.pages import checklist
from adbench_leaderboard.pages.checklist import STATUSES, Item, guidelines, places
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

MakeRun = Callable[..., str]
ITEMS = [(guideline.id, item) for guideline in guidelines() for item in guideline.items]


@pytest.fixture
def words(results: Results, tmp_path: Path, read: Callable[[Path], Any]) -> Callable[[], str]:
    """The text of the page."""

    def make() -> str:
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "0")
            (file,) = checklist.files(site, Templates.of(site))
        (tmp_path / "page.html").write_bytes(file.content)
        return " ".join(read(tmp_path / "page.html").text.split())

    return make


@pytest.fixture
def answer(results: Results) -> Callable[[str], list[str]]:
    """What the stored runs answer to an item."""

    def ask(fact: str) -> list[str]:
        ingest(results)
        with reading(results.database) as db:
            return lines(Site(db, queries.runs(db), "0"), fact)

    return ask


def test_claim_has_44_items_and_relaince_20_in_order() -> None:
    claim, relaince = guidelines()
    assert [item.number for item in claim.items] == [str(number) for number in range(1, 45)]
    classes = [item.number for item in relaince.items]
    assert classes == [f"{part}.{number}" for part, most in ((1, 4), (2, 7), (3, 5), (4, 4)) for number in range(1, most + 1)]
    for guideline in (claim, relaince):
        assert sum(len(items) for items in guideline.sections.values()) == len(guideline.items)
        assert guideline.url.startswith("https://doi.org/")


@pytest.mark.parametrize(("guideline", "item"), ITEMS, ids=[f"{guideline}-{item.number}" for guideline, item in ITEMS])
def test_each_item_is_answered_by_what_there_is(guideline: str, item: Item) -> None:
    assert item.status in STATUSES
    assert item.text.endswith(".")
    assert item.answer.endswith(".")
    assert "\n" not in item.answer
    assert not item.fact or item.fact in ANSWERS
    assert set(item.where) <= {"index", "dataset", "model", "run", "downloads"}
    assert not item.command or item.command.startswith("adbench ")


def test_the_page_counts_its_items_and_links_pages_that_answer(make_run: MakeRun, words: Callable[[], str]) -> None:
    make_run("pca-1")
    said = words()
    for guideline in guidelines():
        counts = [guideline.count(status) for status in STATUSES]
        assert sum(counts) == len(guideline.items)
        numbers = re.findall(
            rf"Of {len(guideline.items)} items, adbench answers (\d+) , a part of (\d+) , and leaves (\d+)", said
        )
        assert [tuple(map(str, counts))] == numbers
    assert "phantom: 8 train normal, 4 test normal, 3 test abnormal" in said
    assert "Each run's page, pca-1 for instance" in said


def test_places_are_pages_of_the_site(make_run: MakeRun, results: Results) -> None:
    make_run("pca-1")
    ingest(results)
    with reading(results.database) as db:
        found = places(Site(db, queries.runs(db), "0"))
    assert {name: path for name, (_, path) in found.items()} == {
        "index": "index.html",
        "dataset": "dataset/phantom.html",
        "model": "model/pca.html",
        "run": "run/pca-1.html",
        "downloads": "downloads.html",
    }


def test_answers_are_counted_from_the_runs(make_run: MakeRun, answer: Callable[[str], list[str]]) -> None:
    make_run("a")
    make_run("b", seed=2, split=1)
    make_run("c", model="kd", dataset="mias", partial="3 missing")
    expected = {
        "copies": ["3 runs here, 1 on partial copies"],
        "preparation": ["study version 1: 128 x 128 pixels, "],
        "splits": ["study version 1, splits 0, 1 here. by hash"],
        "groups": ["mias: what belongs to one patient is not stated", "phantom: what belongs to one patient is not stated"],
        "models": ["kd: no family stated, 12\N{NARROW NO-BREAK SPACE}345 learnt values"],
        "software": ["adbench 0.1.0"],
        "seeds": ["seeds 0, 2", "pca was given: teacher, random"],
        "training": ["study version 1: each model's published epochs", "on x86_64"],
        "rules": ["honest: none", "oracle: best F1, Youden"],
        "spread": ["1 of 1 cell with several runs"],
        "transfers": ["no such run here"],
        "findings": ["mias: no audit is stored, or it found nothing"],
        "modalities": ["mias: modality not stated"],
        "protocols": [f"study version 1: fit digest {16 * 'f'}, evaluation digest "],
    }
    for fact, beginnings in expected.items():
        found = answer(fact)
        assert [line for line in beginnings if not [one for one in found if one.startswith(line)]] == [], (fact, found)
    assert answer("runs")[0].startswith("3 runs, ")
    assert "DeLong, logit" in answer("intervals")[0]


def test_a_long_answer_ends_with_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adbench_leaderboard.checklist.answers.ANSWERS", {"much": lambda _: iter([*"abcdefgh", "h", *"ijk"])})
    assert lines(Site(None, [], "0"), "much") == [*"abcdefg", "and 4 more"]


def test_words_of_a_manifest_are_text(make_run: MakeRun, words: Callable[[], str]) -> None:
    make_run("a", dataset="<script>alert(1)</script>")
    assert "<script>alert(1)</script>: " in words()


def test_a_site_without_runs_has_no_page() -> None:
    site = Site(None, [], "0")
    assert list(checklist.files(site, Templates.of(site))) == []
