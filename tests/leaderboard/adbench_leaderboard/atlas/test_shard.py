from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.home import Home
from adbench_leaderboard import names, queries
from adbench_leaderboard.atlas.shard import shard
from adbench_leaderboard.atlas.summary import Summary
from adbench_leaderboard.images.pictures import Source
from adbench_leaderboard.pages import shards
from adbench_leaderboard.site import Choices, Site
from adbench_leaderboard.templating import Templates

from .conftest import Store

EVIL = ['"><script>alert(1)</script>', 'it\'s "quoted"\\', "rtl\u202egnp.exe", "</script><!--", "line\u2028end", "a5", "a6"]
ATLAS = '{% import "macros.html" as m with context %}{% include "atlas.html" %}'


def read(content: bytes) -> tuple[str, Any]:
    """The name and the data that a shard hands over."""
    text = content.decode("ascii")
    assert text.startswith("adbenchAtlas(")
    assert text.endswith(");\n")
    name, _, data = text.removeprefix("adbenchAtlas(").removesuffix(");\n").partition(",")
    return json.loads(name), json.loads(data)


def page(site: Site, dataset: str = "phantom") -> str:
    """The atlas's part of a dataset's page."""
    template = Templates.of(site).environment.from_string(ATLAS)
    return template.render(root="../", atlas=site.atlases[dataset], card=site.runs[0], boards=site.boards, states=["one"])


def test_a_shard_holds_all_images_models_and_lists(filled: Store) -> None:
    site = Site(filled.db, queries.runs(filled.db), "0")
    made = {file.path: file.content for file in shards.files(site, Templates.of(site))}
    view = next(view for view in filled.views() if len(view.models) == 3)
    name, data = read(made[view.path])
    assert name == view.code
    assert [(model["name"], model["seeds"]) for model in data["models"]] == [("gan", [0, 1]), ("kd", [0, 1]), ("pca", [0, 1])]
    assert data["ranks"] == view.half_ranks.tolist()
    assert [(rule["name"], rule["oracle"], len(rule["cuts"])) for rule in data["rules"]] == [("youden", True, 6)]
    (rule,) = data["rules"]
    lists = {name: [data["images"]["ids"][place] for place in found["images"]] for name, found in rule["lists"].items()}
    assert lists == {"missed": ["a6"], "alarms": ["n0"], "single": ["a5"]}
    assert [pair[:2] for pair in rule["pairs"]] == [[0, 1], [0, 2], [1, 2]]
    assert [len(row) for row in data["cohen"]["value"][0]] == [2, 1, 0]
    all_pairs = [*data["cohen"]["value"][0][0], *data["cohen"]["value"][0][1]]
    assert [pair[2][0][0] for pair in rule["pairs"]] == pytest.approx(all_pairs, abs=1e-4)
    assert [path for path in made if "/mias/" in path]
    assert len(made) == 5


def test_what_files_are_called_is_text(store: Store) -> None:
    store.add(
        "kd-0",
        "<b>kd</b>",
        (0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3),
        names=EVIL,
        groups=EVIL,
        kind=EVIL[0],
        attributes={EVIL[3]: EVIL[0]},
    )
    site = Site(store.db, queries.runs(store.db), "0")
    (view,) = store.views()
    content = shard(Summary(view, {}), site.model_page, names.run_page, frozenset())
    assert b"<" not in content
    assert b"202e" in content
    _, data = read(content)
    assert sorted(data["images"]["ids"]) == sorted(map(names.printable, EVIL))
    assert "rtl\\u202egnp.exe" in data["images"]["ids"]
    html = page(site)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "\u202e" not in html
    assert 'data-image="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in html


def test_the_same_store_gives_the_same_bytes_and_a_new_run_its_own_view(filled: Store) -> None:
    def made() -> dict[str, bytes]:
        site = Site(filled.db, queries.runs(filled.db), "0")
        return {file.path: file.content for file in shards.files(site, Templates.of(site))}

    before = made()
    assert made() == before
    filled.add("kd-new", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0), split=1, seed=1)
    after = made()
    assert set(after) == set(before)
    assert [path for path in before if before[path] != after[path]] == [path for path in before if "split-1" in path]


def test_pictures_are_there_if_their_dataset_was_named(store: Store, tmp_path: Path) -> None:
    home = Home(tmp_path)
    source = Source.of("phantom", home)
    samples = sorted(source.samples.values(), key=lambda sample: (sample.label, sample.id))
    ids = [sample.id for sample in (*samples[:4], *samples[-3:])]
    store.add("kd-0", "kd", (0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.0), names=ids, fingerprint=source.listing.fingerprint)
    runs = queries.runs(store.db)

    bare = Site(store.db, runs, "0", Choices(frozenset({"mias"}), home=home))
    assert not [file.path for file in shards.files(bare, Templates.of(bare)) if not file.path.startswith("data/")]
    assert "<img" not in page(bare)

    shown = Site(store.db, runs, "0", Choices(frozenset({"phantom"}), home=home))
    made = {file.path: file.content for file in shards.files(shown, Templates.of(shown))}
    pictures = {path: content for path, content in made.items() if path.startswith("picture/")}
    assert len(pictures) == 2  # the abnormal image that is missed, and the false alarm
    assert all(content.startswith(b"\xff\xd8") for content in pictures.values())
    assert set(read(made[shown.atlases["phantom"].summaries[0].view.path])[1]["images"]["pictures"].values()) == set(pictures)
    assert page(shown).count("<img") == 2
    assert "Licence of the images: CC0" in page(shown)


def test_a_page_reads_without_its_script(filled: Store) -> None:
    html = page(Site(filled.db, queries.runs(filled.db), "0"))
    for words in ("Abnormal images that every model misses", ">a6<", ">n0<", "kappa of pairs", "Seed flips"):
        assert words in html
    assert "style=" not in html
