from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Results
from adbench_harness.result import CurvePoint
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.pages import model
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

MakeRun = Callable[..., str]
PageOf = Callable[..., tuple[Any, str, dict[str, bytes]]]

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def page_of(results: Results, read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PageOf:
    """A model's page as parsed and as text, and the other files it comes with; charts are not drawn but where a test asks."""

    def make(path: str = "model/pca.html", drawn: bool = False) -> tuple[Any, str, dict[str, bytes]]:
        if not drawn:
            monkeypatch.setattr("adbench_leaderboard.charts.drawing.svg", lambda figure: f"drawn: {figure.id}")
        ingest(results)
        with reading(results.database) as db:
            site = Site(db, queries.runs(db), "1")
            files = {file.path: file.content for file in model.files(site, Templates.of(site))}
        (tmp_path / "page.html").write_bytes(files[path])
        return read(tmp_path / "page.html"), files.pop(path).decode(), files

    return make


def table(page: Any, caption: str) -> list[list[str]]:
    rows: list[list[str]] = next(table.rows for table in page.tables if table.caption.startswith(caption))
    return rows


def changed(results: Results, run_id: str, **parts: dict[str, Any]) -> None:
    """Change what a run that is not taken in yet says of itself."""
    path = results.runs / run_id / "manifest.json"
    manifest = json.loads(path.read_text())
    for name, values in parts.items():
        manifest[name].update(values)
    path.write_text(json.dumps(manifest))


def test_cost_is_taken_from_what_the_runs_state(results: Results, make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    make_run("b", seed=1)
    make_run("gpu", dataset="mias")
    changed(results, "a", timings={"train": 10.0}, training={"images_presented": 3000})
    changed(results, "b", timings={"train": 30.0}, training={"images_presented": 5000})
    changed(
        results,
        "gpu",
        compute={"device": "cuda:0", "device_name": "H100", "peak_memory_bytes": 3 << 20},
        timings={"train": 4.0},
        training={"images_presented": "many"},
    )
    rows = table(page_of()[0], "A row for each dataset and device")
    study = "study version 1"
    assert rows[1] == ["mias", study, "12 345", "4.0 s", "-", "-", "3 MiB", "H100", "1"]
    # 8000 images in 40 seconds: not the mean of 300 and 167.
    spread = "20.0 s runs 10.0 s to 30.0 s"
    assert rows[2] == ["phantom", study, "12 345", spread, "4 000", "200", "-", "x86_64, 2 threads", "2"]


def test_phases_options_and_origin_are_what_the_runs_state(results: Results, make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    words = {"training_phase": "It learns.", "testing_phase": "It looks.", "score": "It counts."}
    changed(results, "a", model={**words, "options": {"width": {"meaning": EVIL, "default": 8}}})
    page, text, _ = page_of()
    said = " ".join(page.text.split())
    assert "Training phase It learns. Testing phase It looks. Score It counts." in said
    assert table(page, "As these runs set them")[1] == ["width", "64 changed", "8", EVIL]
    assert EVIL not in text
    assert table(page, "Code")[1] == ["adbench-harness", "0.1.0", "-", "1", "1"]
    assert "teacher.kind random teacher.sha256 abc" in said


def test_options_of_an_older_run_have_values_alone(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    page, _, _ = page_of()
    assert table(page, "As these runs set them") == [["Option", "Value"], ["width", "64"]]
    assert "adbench models show pca" in " ".join(page.text.split())


def test_every_figure_has_its_interval_and_stands_beside_no_detector(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    rows = table(page_of()[0], "At each threshold")
    assert rows[0] == ["Threshold rule", "Sensitivity", "Specificity", "Precision", "F1", "Balanced accuracy", "MCC"]
    assert [row[0] for row in rows[2:]] == [
        "best F1 oracle",
        "Youden oracle",
        "every image called abnormal",
        "random scores, best F1 oracle",
        "random scores, Youden oracle",
    ]
    assert [cell[:5] for cell in rows[2][1:5]] == ["1.000", "0.750", "0.750", "0.857"]
    assert all("[" in cell for cell in rows[2][1:5])


def test_somers_d_is_as_sure_as_the_area_that_it_follows_from(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    make_run("b", seed=1, scores=(0.1, 0.2, 0.3, 0.35, 0.4, 0.2, 0.9))
    make_run("other", split=1, scores=(0.1, 0.9, 0.3, 0.35, 0.4, 0.2, 0.9))
    page, _, _ = page_of()
    heads, row = table(page, "Without a threshold")
    area, twice = (row[heads.index(name)].replace("\N{MINUS SIGN}", "-") for name in ("ROC AUC", "Somers' D (2 AUC - 1)"))
    numbers = [[float(number) for number in re.findall(r"(?<!\d)-?\d\.\d{3}", cell)] for cell in (area, twice)]
    assert len(numbers[0]) == 5
    assert numbers[1] == pytest.approx([2 * number - 1 for number in numbers[0]], abs=0.0016)


def test_parts_are_means_over_the_runs_that_all_have_them(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    make_run("b", seed=1, scores=(0.1, 0.2, 0.3, 0.7, 0.05, 0.8, 0.9))
    make_run("c", seed=2, subtypes=("bleed", "bleed", "spot"))
    rows = table(page_of()[0], "Abnormal images found")
    assert [row[0] for row in rows[1:]] == ["kind = bleed"]
    assert rows[1][1] == "2"
    # ROC AUC of the bleeds, of eight pairs each: 7, 4 and 7.
    assert rows[1][-1].startswith("0.750")
    assert "runs 0.500-0.875" in rows[1][-1]


def test_training_curves_are_a_figure_a_dataset_and_a_line_a_run(make_run: MakeRun, page_of: PageOf) -> None:
    for number, name in enumerate(("brain", "head", "mias", "phantom")):
        make_run(f"{name}-0", dataset=name)
        make_run(f"{name}-1", dataset=name, seed=1, curves=[CurvePoint("fit", 3, EVIL, float(number))])
    page, text, files = page_of()
    assert [f"drawn: training-{number}" in page.text for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "Those on phantom are on the pages of the" in " ".join(page.text.split())
    assert table(page, "Training on brain")[1:] == [
        ["fit: loss", "0", "0", "2", "0.5", "0.5", "2"],
        [f"fit: {EVIL}", "0", "1", "0", "0", "0", "1"],
    ]
    assert EVIL not in text
    assert b"<" not in files["data/model/pca.figures.js"]


def test_a_training_curve_is_drawn(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a", curves=[CurvePoint("fit", epoch, EVIL, 1 / (epoch + 1)) for epoch in range(200)])
    page, text, _ = page_of(drawn=True)
    assert "svg" in page.tags
    assert EVIL not in text


def test_a_model_without_curves_or_ranked_runs_has_a_page(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a", overrides={"epochs": "2"}, curves=[])
    page, _, files = page_of()
    assert not files
    assert "Results" not in page.text
    assert table(page, "A row for each dataset and device")[1][1] == "study version 1 unranked off protocol: epochs=2"


def test_what_two_protocols_give_stands_apart_under_names_of_its_own(make_run: MakeRun, page_of: PageOf) -> None:
    make_run("a")
    make_run("b", fit_digest="0" * 16)
    page, text, _ = page_of()
    labels = re.findall(r'role="region" aria-label="([^"]+)"', text)
    assert len(labels) == len(set(labels))
    assert [table.caption.partition(".")[0] for table in page.tables if table.caption.startswith("Without")] == [
        "Without a threshold, study (1)",
        "Without a threshold, study (2)",
    ]
