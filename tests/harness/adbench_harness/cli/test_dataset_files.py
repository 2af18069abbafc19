from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from adbench_harness import registry
from adbench_harness.api import NORMAL, DataError, DatasetSpec, Download, Edition, ManifestEntry, NotImportedError, Sample
from adbench_harness.cli import cli, dataset_files
from adbench_harness.data import fetching
from adbench_harness.data.fetching import Fetched
from adbench_harness.home import Home

Type = Callable[..., Result]
NAMES = [f"no/{number}.png" for number in range(10)] + [f"yes/{number}.png" for number in range(5)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Fifteen small images in two class folders."""
    for number, name in enumerate(NAMES):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(number * 7).resize((32, 32)).save(tmp_path / "src" / name)
    return tmp_path / "src"


@pytest.fixture
def spec(source: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSpec:
    """Those images as the installed dataset head-ct, so that every command finds them by a name."""
    entries = [
        ManifestEntry(name, hashlib.sha256((source / name).read_bytes()).hexdigest(), (source / name).stat().st_size)
        for name in NAMES
    ]

    def samples(root: Path) -> list[Sample]:
        found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
        return [Sample(name, name, int(name[:3] == "yes"), "tumor" if name[:3] == "yes" else NORMAL) for name in found]

    plugin = registry.dataset("head-ct")
    made = replace(
        plugin.spec,
        samples=samples,
        editions=[Edition("original", lambda: entries, expected={NORMAL: 10, "tumor": 5})],
        downloads=[Download("https://example.org/set.zip")],
    )
    monkeypatch.setattr(registry, "dataset", lambda name: replace(plugin, spec=made))
    return made


@pytest.fixture
def types(home: Home, results: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command in this process, with a home and results of its own."""
    monkeypatch.setenv("ADBENCH_HOME", str(home.root))
    monkeypatch.setenv("ADBENCH_RESULTS", str(tmp_path / "results"))
    return lambda *words, **more: CliRunner().invoke(cli, [str(word) for word in words], **more)


def test_a_partial_copy_is_refused_then_taken_in_listed_marked_and_never_ranked(
    spec: DatasetSpec, source: Path, types: Type
) -> None:
    (source / "no" / "3.png").unlink()
    (source / "no" / "extra.png").write_bytes((source / "no" / "4.png").read_bytes())
    refused = types("datasets", "import", "head-ct", source)
    assert isinstance(refused.exception, DataError)
    taken = types("datasets", "import", "head-ct", source, "--allow-partial")
    assert taken.exit_code == 0
    assert "missing     no/3.png" in taken.output
    assert "unexpected  no/extra.png" in taken.output
    assert "PARTIAL copy, 2 differences from 'original'" in taken.output
    found = types("datasets", "verify", "head-ct")
    assert found.exit_code == 1
    assert "NO known edition" in found.output
    run = types("run", "-m", "pca", "-d", "head-ct", "--set", "components=2", "-q")
    assert run.exit_code == 0, run.output
    assert "never ranked (partial copy of the dataset: 1 missing, 1 unexpected)" in run.output


def test_verify_tells_every_file_and_its_exit_status(spec: DatasetSpec, source: Path, types: Type) -> None:
    types("datasets", "import", "head-ct", source)
    found = types("datasets", "verify", "head-ct", "--present")
    assert found.exit_code == 0
    assert found.output.count("present     ") == len(NAMES)
    (source / "yes" / "0.png").write_bytes(b"")
    found = types("datasets", "verify", "head-ct", "--folder", source, "--json")
    assert found.exit_code == 1
    answer = json.loads(found.stdout)
    assert answer["editions"][0]["altered"] == ["yes/0.png"]
    assert len(answer["editions"][0]["present"]) == len(NAMES) - 1


def test_fetch_shows_the_licence_and_does_nothing_unless_it_is_accepted(
    spec: DatasetSpec, source: Path, types: Type, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = types("datasets", "fetch", "head-ct")
    assert isinstance(refused.exception, DataError)
    assert "was not accepted; nothing was downloaded" in str(refused.exception)
    archive = home.root / "set.zip"
    home.root.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as target:
        for name in NAMES:
            target.write(source / name, f"outer/{name}")
    monkeypatch.setattr(fetching, "fetch", lambda *given: Fetched(archive, "somewhere", ours=True))
    done = types("datasets", "fetch", "head-ct", "--accept-licence")
    assert done.exit_code == 0
    assert f"licence: {spec.licence}" in done.output
    assert "15 files" in done.output
    assert not archive.exists()


def test_a_run_offers_to_fetch_what_is_missing(spec: DatasetSpec, types: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(dataset_files, "_asked", answer)
    run = types("run", "-m", "pca", "-d", "head-ct", "-q")
    assert isinstance(run.exception, NotImportedError)
    assert "is not here. Fetch it from https://example.org/set.zip (" in asked[0]
    asked.clear()
    types("run", "-m", "pca", "-d", "head-ct", "--json")
    assert not asked


def test_remove_asks_first_and_says_what_went(spec: DatasetSpec, source: Path, types: Type, home: Home) -> None:
    types("datasets", "import", "head-ct", source)
    answer = json.loads(types("datasets", "path", "head-ct", "--json").stdout)
    assert answer == {"dataset": "head-ct", "folder": str(home.dataset("head-ct"))}
    assert "--yes removes it without asking" in str(types("datasets", "remove", "head-ct").exception)
    assert types("datasets", "remove", "head-ct", "--yes").output == f"removed {home.dataset('head-ct')}\n"
    assert isinstance(types("datasets", "remove", "head-ct", "--yes").exception, NotImportedError)


def test_show_gives_the_study_s_counts_beside_what_is_here(spec: DatasetSpec, source: Path, types: Type, tmp_path: Path) -> None:
    types("datasets", "import", "head-ct", source)
    shown = types("datasets", "show", "head-ct", "--montage", tmp_path / "m.png", "--json")
    facts = json.loads(shown.stdout)
    assert facts["expected"] == {"normal": 10, "tumor": 5}  # of the edition that is here, not of the dataset's usual one
    assert facts["study's Table 1"] == {"train normal": 80, "test normal": 20, "test abnormal": 100}
    assert facts["esmaeili2023"] == {"train normal": 8, "test normal": 2, "test abnormal": 5}
    assert (tmp_path / "m.png").exists()
