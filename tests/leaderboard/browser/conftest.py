"""A site of made-up runs, once for all tests, and Debian's Chromium to look at it.

The runs are named and described as badly as anybody could: markup, quotes, and characters that turn the direction of writing.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from pydantic import JsonValue

from adbench_harness.api import Subset
from adbench_harness.home import Home, Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.result import CurvePoint, Example, Examples, Scores, write_run
from adbench_harness.store.ingest import ingest
from adbench_leaderboard.build import build
from adbench_leaderboard.explore import engine
from adbench_leaderboard.site import Choices, File

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

SCRIPT: Final = "<script>alert(1)</script>"
MODELS: Final = ("pca", "multikd", SCRIPT)
FAMILIES: Final = {"pca": "reconstruction", "multikd": "features", SCRIPT: "<s>others</s>"}
MODALITIES: Final = {"phantom": "synthetic CT", "mias": "mammography"}
SKILL: Final = {"pca": 0.6, "multikd": 1.8, SCRIPT: 1.2}
ODD_IMAGES: Final = (
    'it\'s "quoted".png',
    "<img src=x onerror=alert(1)>.png",
    "\u202egnp.\u05d0\u05d1\u05d2.png",
    "a b&amp;#%3F?.png",
)
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NPM_SECONDS: Final = 90
WAIT_MS: Final = 30_000
WIDTHS: Final = (360, 768, 1440)
OVERFLOW: Final = """() => {
  const page = document.documentElement;
  const wide = page.scrollWidth - page.clientWidth;
  if (wide <= 0) return [];
  const culprit = [...document.querySelectorAll('body *')].find(part =>
    part.getBoundingClientRect().right > page.clientWidth + 1 && !part.parentElement.closest('.scroll, pre, svg'));
  return [`${wide} px too wide, ` + (culprit ? culprit.outerHTML.slice(0, 150) : 'unknown why')];
}"""
"""Why a page is wider than its window, if it is."""
LOOK: Final = """() => ({
  links: [...document.querySelectorAll('[href], [src]')].map(part => part.getAttribute('href') ?? part.getAttribute('src')),
  text: document.body.textContent,
  markup: document.querySelectorAll('marquee, main script, main u, main s, main em, main i, [onclick], [onerror]').length,
  source: document.documentElement.outerHTML,
})"""


@dataclass(frozen=True)
class Served:
    """The site in its folder and at its address."""

    folder: Path
    address: str
    has_engine: bool
    """Whether its page of SQL can run."""
    no_engine: str
    """Why not."""

    @property
    def pages(self) -> list[str]:
        """Every page, by its path."""
        return sorted(page.relative_to(self.folder).as_posix() for page in self.folder.rglob("*.html"))

    def kinds(self) -> list[str]:
        """One page of each kind."""
        found: dict[str, str] = {}
        for page in self.pages:
            kind, slash, _ = page.rpartition("/")
            found.setdefault(kind if slash else page, page)
        return list(found.values())


@dataclass
class Watched:
    """A tab, and all that went wrong in it."""

    page: Page
    problems: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    """Beginnings of addresses that may be asked for."""

    def expect(self, place: Locator) -> Any:
        """What will be so in a while: waits in the browser, since a policy without eval lets no test wait for its own expression."""
        from playwright.sync_api import expect

        expect.set_options(timeout=WAIT_MS)
        return expect(place)

    def watch(self) -> None:
        """Note errors of the console (a violated policy is one), of scripts, dialogs, failed requests, requests to elsewhere."""
        note = self.problems.append
        self.page.on("console", lambda said: note(f"{said.type}: {said.text}") if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: note(f"script: {error}"))
        self.page.on("dialog", lambda dialog: self._dismiss(dialog))
        self.page.on("requestfailed", lambda request: note(f"failed: {request.url} {request.failure}"))
        self.page.on("response", lambda answer: note(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
        self.page.on(
            "request", lambda request: None if request.url.startswith(self.allowed) else note(f"elsewhere: {request.url}")
        )

    def _dismiss(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def no_problems(self, where: str) -> list[str]:
        """What went wrong since the last time, with the place."""
        found = [f"{where}: {problem}" for problem in self.problems]
        self.problems.clear()
        return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; tests skip with a reason where it, or what steers it, is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = os.environ.get("ADBENCH_CHROMIUM") or shutil.which("chromium")
    if not executable:
        pytest.skip("there is no chromium on the path (Debian: apt-get install chromium), and ADBENCH_CHROMIUM names none")
    with playwright.sync_playwright() as steered:
        browser = steered.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The site, behind a static server that knows nothing of it."""
    engine, reason = engine_files()
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # one for all processes that test
    with FileLock(root / "browser.lock"):
        folder = root / "browser" / "site"
        if not folder.exists():
            make_site(Results(root / "browser" / "results"), root / "browser" / "unfinished", engine).replace(folder)
    with static_server(folder) as address:
        yield Served(folder, address, bool(engine), reason)


def make_site(results: Results, out: Path, engine: Sequence[File]) -> Path:
    """The site of the made-up runs, with pictures of one dataset; its folder."""
    write_store(results)
    assert not ingest(results).refused
    return build(results.database, out, Choices(frozenset({"mias"}), results.runs, Home(results.root / "home"), engine)).parent


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Serves a folder; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """A static server without a word."""

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Visit:
    """What was seen of a page."""

    problems: list[str]
    too_wide: list[str]
    links: list[str]
    text: str
    markup: int
    """Elements that only words taken for markup could have made."""
    source: str


@pytest.fixture(scope="session")
def visits(chromium: Browser, served: Served) -> dict[str, Visit]:
    """Every page, opened once from the server, at the width of a phone, a tablet and a desk."""
    return dict(_visits(chromium, served))


def _visits(chromium: Browser, served: Served) -> Iterator[tuple[str, Visit]]:
    context = chromium.new_context()
    tab = watched_tab(context, served)
    for page in served.pages:
        tab.page.goto(served.address + page)
        too_wide = []
        for width in WIDTHS:
            tab.page.set_viewport_size({"width": width, "height": 900})
            too_wide += [f"{page} at {width} px: {culprit}" for culprit in tab.page.evaluate(OVERFLOW)]
        found = tab.page.evaluate(LOOK)
        yield page, Visit(tab.no_problems(page), too_wide, found["links"], found["text"], found["markup"], found["source"])
    context.close()


@pytest.fixture
def tab(chromium: Browser, served: Served) -> Iterator[Watched]:
    """A fresh tab with a watcher."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    yield watched_tab(context, served)
    context.close()


def watched_tab(context: BrowserContext, served: Served) -> Watched:
    """A tab that notes what goes wrong."""
    context.set_default_timeout(WAIT_MS)
    watched = Watched(context.new_page(), allowed=(served.address, f"blob:{served.address}", "data:", served.folder.as_uri()))
    watched.watch()
    return watched


def engine_files() -> tuple[list[File], str]:
    """The SQL engine, kept or from npm, and the reason if it can't be had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SECONDS", NPM_SECONDS)
        patch.setenv("npm_config_fetch_retries", "0")
        try:
            return engine.engine(Home.at(None).sql_engine), ""
        except engine.EngineError as error:
            return [], str(error)


def write_store(results: Results) -> None:
    """Run folders: three models on two datasets, one of them not on both, splits and seeds, an unranked run and one on a partial copy."""
    for model, number in (("pca", 0), ("multikd", 1)):
        for split in (0, 1):
            for seed in (0, 1):
                write(results, f"{number}-{split}-{seed}", model, "phantom", split, seed)
    write(results, "script", SCRIPT, "phantom", 0, 0)
    write(results, "pca-mias", "pca", "mias", 0, 0)
    write(results, "script-mias", SCRIPT, "mias", 0, 0)
    write(results, "longer", "pca", "phantom", 0, 0, overrides={"epochs": "<b>2</b>"})
    write(results, "part", "pca", "phantom", 0, 0, partial="3 of 60 files are missing")


def write(
    results: Results,
    run_id: str,
    model: str,
    dataset: str,
    split: int,
    seed: int,
    overrides: dict[str, str] | None = None,
    partial: str | None = None,
) -> None:
    """One run folder."""
    fit_digest = "f" * 16 if overrides is None else "0" * 16
    manifest = Manifest(
        run_id=run_id,
        cell=Cell(
            model=model,
            options={"width": 64, "teacher": "<i>none</i>"},
            dataset=dataset,
            protocol="study",
            fit_digest=fit_digest,
            split=split,
            seed=seed,
        ),
        variant=model,
        command=f"adbench run --model '{model}' --dataset {dataset} --split {split} --seed {seed}",
        created=f"2026-01-0{1 + seed}T03:04:05Z",
        protocol=protocol(fit_digest, overrides or {}),
        dataset={
            "title": f"The {dataset} images",
            "modality": MODALITIES[dataset],
            "organ": "head" if dataset == "phantom" else "<u>breast</u>",
            "description": "Drawn by a program <marquee>at once</marquee>.",
            "citation": "Nobody & Sons, 2026.",
            "licence": "CC0",
            "url": "javascript:alert(1)",
            "fingerprint": ("d" if partial is None else "c") * 16,
            "counts": {"train_normal": 40, "held_out_normal": 20, "test_normal": 24, "test_abnormal": 24},
            "subtypes": {"normal": 64, "bleed": 12, "tumour": 12},
            "tasks": {"bleed": ["bleed"], "tumour": ["tumour"]},
            "partial": partial,
        },
        model=model_card(model),
        plugins={"model": {"name": model, "distribution": "adbench-harness", "version": "0.1.0", "revision": "1"}},
        compute={"device": "cpu", "device_name": "x86_64", "threads": 2},
        environment={"adbench": "0.1.0"},
        timings={"prepare": 0.5, "train": 61.0},
        training={"images": 40, "images_presented": 160},
        files={},
    )
    curves = [CurvePoint("fit", epoch, "loss", 2.0 / (1 + epoch)) for epoch in range(12)]
    found = scores(model, dataset, split, seed)
    write_run(results.runs, manifest, found, curves, weights=None, examples=examples(found) if dataset == "mias" else None)


def model_card(model: str) -> dict[str, JsonValue]:
    """What a run says of its model."""
    return {
        "title": 'A model with <b onclick="alert(1)">markup</b> & more',
        "family": FAMILIES[model],
        "description": "Learns <b>nothing</b>.",
        "paper": "Nobody: Nothing. 2026.",
        "url": "https://example.org/paper",
        "training_phase": "It looks at images.",
        "testing_phase": "It looks at one more.",
        "score": "What it feels, <i>in words</i>.",
        "options": {"width": {"meaning": "How wide <s>it</s> is", "default": 32}},
        "parameters": 12345,
        "given": {},
    }


def protocol(fit_digest: str, overrides: dict[str, str]) -> dict[str, JsonValue]:
    """The rules of a run."""
    return {
        "name": "study",
        "version": 1,
        "title": "A study of <em>everything</em>",
        "fit": {"image_size": 128},
        "evaluation": {"thresholds": ["normal-q95", "best-f1", "youden"]},
        "split_rule": "by hash",
        "fit_digest": fit_digest,
        "evaluation_digest": "e" * 16,
        "overrides": {**overrides},
    }


def scores(model: str, dataset: str, split: int, seed: int) -> Scores:
    """Twenty held-out normals, 24 normals and 24 abnormal images of two kinds; some images are hard for every model."""
    images = np.random.default_rng([split, len(dataset)]).normal(size=68)
    own = np.random.default_rng([MODELS.index(model), split, seed, len(dataset)]).normal(size=68)
    subsets: list[Subset] = ["held_out"] * 20
    subsets += ["test"] * 48
    label = np.asarray([0] * 44 + [1] * 24, dtype=np.int8)
    names = [f"{dataset}/{number:02}.png" for number in range(64)] + list(ODD_IMAGES)
    return Scores(
        image=names,
        label=label,
        subtype=["normal"] * 44 + ["bleed"] * 12 + ["tumour"] * 12,
        group=[f"patient {number // 2}" for number in range(68)],
        subset=subsets,
        score=images + 0.4 * own + SKILL[model] * label,
    )


def examples(found: Scores) -> Examples:
    """Pictures of a normal and of an abnormal image, the latter with the oddest name."""
    stream = io.BytesIO()
    Image.new("L", (128, 128), 96).save(stream, format="PNG")
    listed = [
        Example(
            image=found.image[place],
            label=int(found.label[place]),
            subtype=found.subtype[place],
            score=float(found.score[place]),
            files={"input": f"{place}-input.png", "map": f"{place}-map.png"},
            map_white=2.5,
        )
        for place in (20, 65)
    ]
    return Examples(listed, {name: stream.getvalue() for one in listed for name in one.files.values()})
