"""One run, made once, as a bundle; and bundles that somebody has forged of it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adbench_harness.bundles.importing import Imported, Trust, import_bundle
from adbench_harness.bundles.planning import Surroundings
from adbench_harness.bundles.writing import Wanted, write_bundle
from adbench_harness.home import Home, Results
from adbench_harness.plan import RunRequest, plan
from adbench_harness.runner import Conditions, run_one

REQUEST = RunRequest("pca", "tiny-discs", "tiny-protocol", device="cpu", settings={"components": "4"})

Forge = Callable[..., Path]
Bring = Callable[..., Imported]


@dataclass(frozen=True)
class Made:
    """A run of somebody else, and the bundle with its weights and pictures."""

    run_id: str
    home: Home
    results: Results
    bundle: Path


@pytest.fixture(scope="session")
def made(tiny_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    place = tmp_path_factory.mktemp("sender")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tiny_site))
        home, results = Home(place / "home"), Results(place / "results")
        run_id = run_one(plan(REQUEST, home), Conditions(home, results)).manifest.run_id
        bundle = write_bundle(results, [run_id], place / "sent.adbench", Wanted(weights=True, images=True)).path
        yield Made(run_id, home, results, bundle)


@pytest.fixture
def around(made: Made, tiny: Path) -> Surroundings:
    """The importer has the dataset; images prepared and compared once serve all tests."""
    return Surroundings(made.home)


@pytest.fixture
def bring(results: Results, around: Surroundings) -> Bring:
    """Import a bundle into an empty results folder."""

    def run(bundle: Path, trust: Trust = Trust(), into: Results = results) -> Imported:  # noqa: B008 - frozen
        return import_bundle(bundle, into, around, trust)

    return run


@pytest.fixture
def forge(made: Made, tmp_path: Path) -> Forge:
    """A bundle with other content: bytes, or a function of the old ones, by path below the run's folder; None takes a file out.

    The index is made to fit, unless ``fitting`` is false; ``index`` changes it further.
    """

    def make(
        changes: Mapping[str, Any] | None = None,
        *,
        fitting: bool = True,
        index: Callable[[dict[str, Any]], None] = lambda index: None,
        extra: Mapping[str, bytes] | None = None,
        compression: int = zipfile.ZIP_STORED,
    ) -> Path:
        contents = read_all(made.bundle)
        head = json.loads(contents.pop("index.json"))
        for name, change in (changes or {}).items():
            path = f"runs/{made.run_id}/{name}"
            content = change(contents[path]) if callable(change) else change
            contents.pop(path, None)
            head["files"].pop(path, None) if fitting else None
            if content is not None:
                contents[path] = content
                if fitting:
                    head["files"][path] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        index(head)
        out = tmp_path / "forged.adbench"
        with zipfile.ZipFile(out, "w", compression) as archive:
            archive.writestr("index.json", json.dumps(head))
            for name, content in {**contents, **(extra or {})}.items():
                archive.writestr(name, content)
        return out

    return make


def read_all(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    return read_all
