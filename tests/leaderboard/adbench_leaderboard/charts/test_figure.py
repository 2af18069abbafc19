from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import altair as alt
import pytest

from adbench_leaderboard.charts import Figure, data, data_path, specification, svg
from adbench_leaderboard.charts.figure import POINTS

HOSTILE = "<script>alert(1)</script> \" ' & \u05d0\u05d1 \u202e }};"


def figure(label: str = HOSTILE) -> Figure:
    chart = (
        alt.Chart(alt.NamedData(POINTS))
        .mark_area(clip=True)
        .encode(x="x:Q", y="y:Q", color=alt.Color("m:N", title=None), tooltip="m:N")
        .properties(width=100, height=80)
    )
    points = [{"m": label, "x": x, "y": x * x} for x in range(4)]
    return Figure("one", f"Title {label}", f"Words {label}", specification(chart, points), ["Model"], [[label]])


@pytest.fixture(scope="module")
def drawn() -> str:
    return str(svg(figure()))


def test_a_figure_is_one_image_with_a_title_and_a_description(drawn: str) -> None:
    root = ElementTree.fromstring(drawn)
    assert root.attrib["role"] == "img"
    words = {element.attrib["id"]: element.text for element in root if element.tag in ("title", "desc")}
    assert words == {root.attrib["aria-labelledby"]: f"Title {HOSTILE}", root.attrib["aria-describedby"]: f"Words {HOSTILE}"}


def test_a_figure_has_nothing_that_a_page_forbids(drawn: str) -> None:
    elements = list(ElementTree.fromstring(drawn).iter())
    assert {element.tag for element in elements}.isdisjoint({"script", "style", "foreignObject", "a", "image", "use"})
    names = {name for element in elements for name in element.attrib}
    assert not [name for name in names if name in ("style", "href", "font-family") or name.startswith("on") or ":" in name]
    assert set(re.findall(r"url\(([^)]*)\)", drawn)) <= {
        f"#{element.attrib['id']}" for element in elements if "id" in element.attrib
    }
    assert all(element.attrib["id"].startswith("one-") for element in elements if "id" in element.attrib)


def test_words_of_plugins_are_text(drawn: str) -> None:
    assert "<script" not in drawn
    texts = [element.text or "" for element in ElementTree.fromstring(drawn).iter("text")]
    assert any(text.startswith("<script>alert(1)</script>") for text in texts)
    assert "\u202e" not in "".join(texts)


def test_colours_are_the_pages(drawn: str) -> None:
    fills = {element.attrib.get("fill", "none") for element in ElementTree.fromstring(drawn).iter()}
    assert fills <= {"none", "transparent", "currentColor", "var(--quiet)", "var(--series-1)"}
    assert "var(--series-1)" in fills


def test_the_same_figure_has_the_same_bytes(drawn: str) -> None:
    svg(figure("another one in between"))
    assert str(svg(figure())) == drawn


def test_specifications_are_a_script_without_markup() -> None:
    file = data("dataset/a.b.html", [figure()])
    assert file.path == data_path("dataset/a.b.html") == "data/dataset/a.b.figures.js"
    text = file.content.decode("ascii")
    assert "<" not in text
    found = json.loads(text.removeprefix("window.adbenchFigures = ").removesuffix(";\n"))
    assert found["one"]["datasets"][POINTS][0]["m"].startswith("<script>")


def test_a_chart_that_is_no_vega_lite_is_refused() -> None:
    with pytest.raises(Exception, match="sideways"):
        specification(alt.Chart(alt.NamedData(POINTS)).mark_line().encode(x=alt.X("x:Q", stack="sideways")), [])  # type: ignore[arg-type]
