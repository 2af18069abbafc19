from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adbench_harness.home import Results
from adbench_harness.manifest import PixelEstimate, Pixels
from adbench_harness.result import Example, Examples, Learnt, read_manifest, read_scores, write_run
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.pages import run
from adbench_leaderboard.site import Choices, Site
from adbench_leaderboard.templating import Templates

MakeRun = Callable[..., str]
Parse = Callable[[str], Any]
PageOf = Callable[..., tuple[str, dict[str, bytes]]]

EVIL = "<script>alert(1)</script>\u202e'\".png"


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (6, 4), 128).save(stream, format="PNG")
    return stream.getvalue()


def example(image: str, label: int, score: float, number: int) -> Example:
    files: Any = {kind: f"{number:02}-{kind}.png" for kind in ("input", "map")}
    return Example(image=image, label=label, subtype="bleed" if label else "normal", score=score, files=files, map_white=2.5)


LISTED = (example("image-0", 0, 0.1, 0), example(EVIL, 0, 0.7, 1), example("image-6", 1, 0.9, 2))
"""Best F1 lies at 0.35: the second image is a false alarm."""


@pytest.fixture
def pictured(results: Results, make_run: MakeRun) -> Callable[..., Path]:
    """Makes a run of best F1 and Youden that keeps pictures; the folder of runs."""

    def make(listed: Sequence[Example] = LISTED, content: bytes | None = None) -> Path:
        folder = results.runs / make_run("kept")
        found = Examples(listed, {name: content or picture() for one in listed for name in one.files.values()})
        learnt = [Learnt("seen-1", None), Learnt("seen-0", None)]
        scores, manifest = read_scores(folder), read_manifest(folder)
        shutil.rmtree(folder)
        write_run(results.runs, manifest.model_copy(update={"files": {}}), scores, [], None, found, learnt)
        return results.runs

    return make


@pytest.fixture
def parse(read: Callable[[Path], Any], tmp_path: Path) -> Parse:
    """Parses the text of a page."""

    def of(text: str) -> Any:
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return read(tmp_path / "page.html")

    return of


@pytest.fixture
def page_of(results: Results) -> PageOf:
    """The run's page, and the other files that it comes with by path."""

    def make(runs: Path | None, datasets: Sequence[str] = ()) -> tuple[str, dict[str, bytes]]:
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "1", Choices(runs=runs, with_images=frozenset(datasets)))
            found = {file.path: file.content for file in run.files(site, Templates.of(site))}
        return found.pop("run/kept.html").decode(), found

    return make


def table(page: Any, caption: str) -> list[list[str]]:
    rows: list[list[str]] = next(table.rows for table in page.tables if table.caption.startswith(caption))
    return rows


def test_the_four_counts_stand_in_a_table_of_two_by_two(make_run: MakeRun, page_of: PageOf, parse: Parse) -> None:
    make_run("kept")
    page = parse(page_of(None)[0])
    # Above 0.35 lie all three abnormal images and one of four normal ones.
    assert table(page, "best F1") == [
        ["", "called abnormal", "called normal"],
        ["3 abnormal", "3 found sensitivity 1.000 [0.667, 1.000]", "0 missed"],
        ["4 normal", "1 false alarm", f"3 passed specificity {table(page, 'Task all')[1][2]}"],
    ]
    assert table(page, "No detector")[2] == ["4 normal", "4 false alarms", "0 passed specificity 0.000 [0.000, 0.000]"]
    assert "it found 3 of the 3 abnormal images and raised 1 false alarm among the 4 normal ones" in " ".join(page.text.split())


def test_a_refused_rule_is_said_to_have_no_threshold(make_run: MakeRun, page_of: PageOf, parse: Parse) -> None:
    make_run("kept", thresholds=("normal-q95", "youden"))
    page = parse(page_of(None)[0])
    assert "it needs at least 19 held-out normal images, and the run has 0" in " ".join(page.text.split())
    assert not [table for table in page.tables if table.caption.startswith("95 % of")]


def test_curves_scores_parts_and_command(make_run: MakeRun, page_of: PageOf, parse: Parse) -> None:
    make_run("kept")
    page = parse(page_of(None)[0])
    rows = [row for table in page.tables for row in table.rows]
    assert ["fit", "loss", "", "2", "0.5 at 1", "0.5", "0-1"] in rows
    assert table(page, "Phase fit") == [["Epoch", "loss"], ["0", "2"], ["1", "0.5"]]
    assert ["bleed", "abnormal", "test", "2", "0.4", "0.6", "0.8"] in rows
    assert "adbench run --model pca --dataset phantom --split 0 --seed 0" in page.text
    parts = {row[0]: row for row in table(page, "Abnormal images found")}
    assert parts["kind = bleed"][1] == "2"
    assert [cell[:5] for cell in parts["kind = tumour"]] == ["kind ", "1", "1.000", "1.000", "1.000"]


def test_figures_over_pixels_stand_on_the_page_of_a_run_that_has_them(
    results: Results, make_run: MakeRun, page_of: PageOf, parse: Parse
) -> None:
    folder = results.runs / make_run("kept")
    area = PixelEstimate(value=0.9476, low=0.9263, high=0.963, method="Obuchowski, logit", random=0.5)
    counts = {"normal": 4, "abnormal": 3, "left_out": 1, "regions": 5, "inside": 60, "outside": 1732, "image_size": 16}
    pixels = Pixels(pixel_roc_auc=area, aupro=PixelEstimate(value=0.8657, random=0.15), masks="m", **counts)
    manifest = read_manifest(folder).model_copy(update={"pixels": pixels})
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    page, _ = page_of(None)
    assert "1\u202f792 pixels of 3 abnormal test images (5 regions in their masks) and 4 normal ones" in page
    assert "left out: 1 of the test images" in page
    assert '0.948 <span class="span">[0.926, 0.963]</span>' in page
    assert '0.866</td><td class="num">0.150</td>' in page


def test_a_run_without_figures_over_pixels_has_no_section_for_them(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("kept")
    assert "Where it points" not in page_of(None)[0]


def test_examples_are_pictures_only_where_the_publisher_chose_so(
    pictured: Callable[..., Path], page_of: PageOf, parse: Parse
) -> None:
    runs = pictured()
    text, files = page_of(runs)
    page = parse(text)
    assert "img" not in page.tags
    assert not files
    rows = table(page, "What each threshold makes")
    assert rows[0] == ["Image", "Label", "Score", "best F1 oracle", "Youden oracle"]
    assert rows[1] == ["image-0", "normal", "0.1", "✓ right , called normal", "✓ right , called normal"]
    assert rows[2][3] == "✗ wrong , called abnormal"
    assert rows[3][1:4] == ["abnormal (bleed)", "0.9", "✓ right , called abnormal"]

    text, files = page_of(runs, ["phantom"])
    page = parse(text)
    assert page.tags.count("img") == 6
    assert files["run/kept/01-map.png"] == picture()
    assert "../run/kept/02-input.png" in page.links
    assert "Licence of the images CC0" in " ".join(page.text.split())


def test_a_frame_is_right_or_wrong_at_each_rule_in_words_and_in_class(pictured: Callable[..., Path], page_of: PageOf) -> None:
    text, _ = page_of(pictured(), ["phantom"])
    shots = text.split('<li class="shot')[1:]
    assert [shot.partition('"')[0] for shot in shots] == [" right-0 right-1", " wrong-0 wrong-1", " right-0 right-1"]
    assert 'alt="Test image image-6, abnormal (bleed), score 0.9"' in shots[2]
    assert "✗ wrong</span>, called abnormal" in shots[1]


def test_a_name_of_an_image_is_text(pictured: Callable[..., Path], page_of: PageOf) -> None:
    runs = pictured()
    for datasets in ([], ["phantom"]):
        text, _ = page_of(runs, datasets)
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e&#39;&#34;.png" in text


def test_examples_that_are_not_what_the_run_wrote_are_not_shown(
    pictured: Callable[..., Path], page_of: PageOf, parse: Parse
) -> None:
    runs = pictured()
    (runs / "kept/examples/00-map.png").write_bytes(b"another")
    text, files = page_of(runs, ["phantom"])
    assert "is not the file that the run wrote" in text
    assert str(runs) not in text
    assert "img" not in parse(text).tags
    assert not files


@pytest.mark.parametrize("content", [b"<svg/>", b"\x89PNG\r\n\x1a\n", picture()[:16] + b"\xff" * 20])
def test_what_is_no_picture_is_not_shown(pictured: Callable[..., Path], page_of: PageOf, content: bytes) -> None:
    text, files = page_of(pictured(content=content), ["phantom"])
    assert "can't be shown" in text
    assert not files


def test_split_digest_is_of_images_and_their_use(pictured: Callable[..., Path], page_of: PageOf) -> None:
    pairs = sorted([[f"image-{number}", "test"] for number in range(7)] + [["seen-0", "train"], ["seen-1", "train"]])
    expected = hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()[:16]
    runs = pictured()
    assert expected in page_of(runs)[0]
    assert "Split digest" not in page_of(None)[0]
