"""A dataset that keeps every rule, and for each rule some that break it and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from adbench_harness import registry
from adbench_harness.cli.options import DEFAULT_PROTOCOL
from adbench_harness.conformance.checks import run_checks
from adbench_harness.conformance.dataset_file_checks import PROTOCOL
from adbench_harness.conformance.dataset_subject import DatasetSubject
from adbench_harness.conformance.report import Result
from adbench_harness.conformance.rules import dataset_checks
from adbench_harness.home import Home

Install = Callable[..., None]

SOURCE: Final = """
import hashlib, random, socket, subprocess, tempfile, time, torch
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from adbench_harness.api import Box, DataError, DatasetSpec, Edition, ManifestEntry, Sample, hookimpl

adbench_api = 1
FOLDER = Path({folder!r})


def samples(root):
    {start}
    if not (root / "n00.png").is_file():
        raise DataError("n00.png is missing")
    listed = [Sample(f"n{{n:02}}", f"n{{n:02}}.png", 0, group=f"Doe, {{n // 2}}") for n in range(30)]
    listed += [
        Sample(f"a{{n:02}}", f"a{{n:02}}.png", 1, "spot", f"Roe, {{n}}", Box(0, 0, 16, 16), mask=f"m{{n:02}}.png") for n in range(5)
    ]
    last = listed[-1]
    {change}
    return listed


def files():
    found = [(path.name, path.read_bytes()) for path in sorted(FOLDER.glob("*[0-9].png"))]
    entries = [ManifestEntry(name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in found]
    {entries}
    return entries


FIELDS = dict(
    name="made", title="Made up", samples=samples, modality="synthetic", organ="none", citation="none", licence="CC0", source="a test",
    group_rule="one patient", expected={{"normal": 30, "spot": 5}}, tasks={{"spots": ("spot",)}}, embedded=FOLDER,
    editions=(Edition("1", files),),
)
FIELDS.update({fields})


@hookimpl
def register_datasets(register):
    register(DatasetSpec(**FIELDS))
"""

EVERY: Final = "listed = [replace(s, {}) for s in listed]"
LAST: Final = "listed[-1] = replace(last, {})"
BROKEN: Final[list[tuple[str, str, dict[str, str]]]] = [
    ("described", "no organ", {"fields": "organ=' '"}),
    ("described", "revision 0", {"fields": "revision=0"}),
    ("lists", "nothing", {"change": "listed = []"}),
    ("lists", "None", {"change": "listed = None"}),
    ("lists", "rows", {"change": "listed = [('n00', 'n00.png', 0)]"}),
    ("lists", "an error", {"change": "raise KeyError('labels.csv')"}),
    ("lists", "nothing normal", {"change": "listed = [s for s in listed if s.label]"}),
    ("lists", "a label as text", {"change": LAST.format("label='1'")}),
    ("lists", "a box as tuple", {"change": LAST.format("box=(0, 0, 16, 16)")}),
    ("lists", "another split", {"change": LAST.format("official_split='val'")}),
    ("lists", "not a number", {"change": LAST.format("attributes={'area': float('nan')}")}),
    ("empty-folder", "an error", {"start": "(root / 'n00.png').read_bytes()"}),
    ("ids", "twice", {"change": LAST.format("id='a00'")}),
    ("ids", "a path", {"change": EVERY.format("id=str(root / s.path)")}),
    ("ids", "the folder's name", {"change": EVERY.format("id=f'{root.name}/{s.path}'")}),
    ("ids", "a backslash", {"change": LAST.format("id='a' + chr(92) + '04'")}),
    ("ids", "an accent", {"change": LAST.format("id='e' + chr(0x301)")}),
    ("ids", "another each time", {"change": LAST.format("id=str(time.time_ns())")}),
    ("ids", "the file system's order", {"change": "listed = [s for p in root.iterdir() for s in listed if s.path == p.name]"}),
    ("labels", "2", {"change": LAST.format("label=2")}),
    ("labels", "abnormal and normal", {"change": LAST.format("subtype='normal'")}),
    ("labels", "unexpected", {"change": LAST.format("subtype='blot'")}),
    ("labels", "all", {"change": LAST.format("subtype='all'")}),
    ("groups", "none", {"change": LAST.format("group=None")}),
    ("groups", "unknown", {"fields": "group_rule='unknown'"}),
    ("counts", "expected", {"fields": "expected={'normal': 31, 'spot': 5}"}),
    ("counts", "of the edition", {"fields": "editions=(Edition('1', files, expected={'normal': 29, 'spot': 5}),)"}),
    ("tasks", "unknown", {"fields": "tasks={'blots': ('blot',)}"}),
    ("tasks", "normal", {"fields": "tasks={'rest': ('normal',)}"}),
    ("tasks", "all", {"fields": "tasks={'all': ('spot',)}"}),
    ("tasks", "a text", {"fields": "tasks={'spot': 'spot'}"}),
    ("files", "missing", {"change": LAST.format("path='a99.png'")}),
    ("files", "damaged", {"change": LAST.format("path='damaged.png'")}),
    ("files", "outside", {"change": LAST.format("path='../a04.png'")}),
    ("files", "absolute", {"change": LAST.format("path=str(FOLDER / 'a04.png')")}),
    ("boxes", "outside", {"change": LAST.format("box=Box(0, 0, 17, 16)")}),
    ("boxes", "empty", {"change": LAST.format("box=Box(4, 4, 4, 8)")}),
    ("masks", "missing", {"change": LAST.format("mask='m99.png'")}),
    ("masks", "black", {"change": LAST.format("mask='black1.png'")}),
    ("masks", "small", {"change": LAST.format("mask='small1.png'")}),
    ("masks", "normal", {"change": "listed[0] = replace(listed[0], mask='m00.png')"}),
    ("manifest", "without masks", {"entries": "entries = [e for e in entries if e.path[0] != 'm']"}),
    ("manifest", "another hash", {"entries": "entries[0] = replace(entries[0], sha256='0' * 64)"}),
    ("manifest", "no hash", {"entries": "entries[0] = replace(entries[0], sha256='x')"}),
    ("manifest", "another size", {"entries": "entries[0] = replace(entries[0], bytes=1)"}),
    ("manifest", "twice", {"entries": "entries.append(entries[0])"}),
    ("splits", "one group", {"change": EVERY.format("group='Doe'")}),
    ("splits", "nothing to test", {"change": EVERY.format("official_split='test' if s.id > 'n20' else 'train'")}),
    ("writes", "a file", {"start": "tempfile.NamedTemporaryFile().close()"}),
    ("global-state", "a draw", {"start": "random.random()"}),
    ("global-state", "a seed", {"start": "torch.manual_seed(0)"}),
    ("processes", "one", {"start": "subprocess.run(['true'])"}),
    ("network", "an address", {"start": "with suppress(OSError): socket.create_connection(('127.0.0.1', 9), 1)"}),
    ("output", "a line", {"start": "print('listing')"}),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with its masks, and files that are not as they should be."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(1)
    for name in [*(f"n{n:02}" for n in range(30)), *(f"{kind}{n:02}" for kind in "am" for n in range(5))]:
        Image.fromarray(random.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / f"{name}.png")
    Image.new("L", (16, 16)).save(folder / "black1.png")
    Image.new("L", (8, 8), 255).save(folder / "small1.png")
    (folder / "damaged.png").write_bytes((folder / "a00.png").read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One for all, so that the same pictures are measured once."""
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def install(pictures: Path, fake_distribution: Install) -> Install:
    """Installs a dataset called "made"."""

    def made(start: str = "pass", change: str = "pass", entries: str = "pass", fields: str = "") -> None:
        source = SOURCE.format(folder=str(pictures), start=start, change=change, entries=entries, fields=fields)
        fake_distribution("adbench-made", "1", {"adbench_made": source}, {"adbench.datasets": {"made": "adbench_made"}})

    return made


def look(home: Home, folder: Path, copy_limit: int = 10**6) -> dict[str, Result]:
    """The results of all checks, made in this process."""
    plugin = registry.dataset("made")
    folder.mkdir()
    events = run_checks(dataset_checks(), DatasetSubject(plugin, home, folder, copy_limit=copy_limit), plugin.module)
    return {event.check: event for event in events if isinstance(event, Result)}


def test_a_sound_dataset_passes_all(install: Install, home: Home, tmp_path: Path) -> None:
    install()
    results = look(home, tmp_path / "look")
    assert {name: result.message for name, result in results.items() if result.status != "passed"} == {}


def test_every_rule_has_a_dataset_that_breaks_it() -> None:
    assert list(dict.fromkeys(check for check, _, _ in BROKEN)) == [check.name for check in dataset_checks()]


@pytest.mark.parametrize(("check", "change"), [pytest.param(c, change, id=f"{c}-{how}") for c, how, change in BROKEN])
def test_a_dataset_that_breaks_a_rule_fails_its_check_and_no_other(
    install: Install, home: Home, tmp_path: Path, check: str, change: dict[str, str]
) -> None:
    install(**change)
    results = look(home, tmp_path / "look")
    failed = {name: result.message for name, result in results.items() if result.status == "failed"}
    assert list(failed) == [check], failed
    assert not any(name in failed[check] for name in ("Doe", "Roe")), "a group may name a person"


def test_what_states_nothing_is_skipped_not_passed(install: Install, home: Home, tmp_path: Path) -> None:
    install(
        change=EVERY.format("group=None, box=None, mask=None"),
        fields="expected={}, tasks={}, editions=(), group_rule='unknown: not published'",
    )
    results = look(home, tmp_path / "look")
    skipped = [name for name, result in results.items() if result.status == "skipped"]
    assert skipped == ["groups", "counts", "tasks", "boxes", "masks"]
    assert not any(result.status == "failed" for result in results.values())


def test_the_files_stay_as_they_are(install: Install, home: Home, tmp_path: Path, pictures: Path) -> None:
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    install()
    look(home, tmp_path / "look")
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before


def test_the_default_protocol_is_the_one_that_is_looked_at() -> None:
    assert PROTOCOL == DEFAULT_PROTOCOL


def test_the_command_tells_it_from_a_process_of_its_own(install: Install, tmp_path: Path) -> None:
    install(start="print('listing')")
    words = ["datasets", "check", "made", "--home", str(tmp_path / "home"), "--only", "output", "--json"]
    command = [sys.executable, "-c", "from adbench_harness.cli import main; main()", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (report,) = json.loads(done.stdout)
    assert (report["kind"], report["name"], report["failed"]) == ("dataset", "made", ["output"])
    assert [result["check"] for result in report["results"]] == ["lists", "output"]
    assert "'listing'" in report["results"][1]["message"]
