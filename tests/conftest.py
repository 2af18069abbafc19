"""What many tests need: a home, a results folder, installed plugins of a third party, distributions made up on the spot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adbench_harness.home import Home, Results

THIRD_PARTY = Path(__file__).parent / "third_party"

FakeDistribution = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


@pytest.fixture(scope="session")
def tiny_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed tests/third_party/adbench-tiny."""
    return _installed("adbench-tiny", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def broken_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed tests/third_party/adbench-broken."""
    return _installed("adbench-broken", tmp_path_factory.mktemp("broken"))


def _installed(name: str, place: Path) -> Path:
    """As any user would install it, but with no network."""
    shutil.copytree(THIRD_PARTY / name, place / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(place / "site"), str(place / "source")], check=True)
    return place / "site"


@pytest.fixture
def tiny(tiny_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third party's plugins, installed for this test and the processes it starts."""
    monkeypatch.syspath_prepend(str(tiny_site))
    monkeypatch.setenv("PYTHONPATH", str(tiny_site))
    return tiny_site


@pytest.fixture
def broken(broken_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Detectors that break one rule each, installed for this test and the processes it starts."""
    monkeypatch.syspath_prepend(str(broken_site))
    monkeypatch.setenv("PYTHONPATH", str(broken_site))
    return broken_site


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistribution]:
    """Installs a distribution made of source text: fake(name, version, {module: source}, {group: {entry point: module}})."""
    site = tmp_path / "fake-site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    installed: list[str] = []

    def install(name: str, version: str, modules: dict[str, str], groups: dict[str, dict[str, str]]) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            f"[{group}]\n" + "\n".join(f"{point} = {module}" for point, module in points.items())
            for group, points in groups.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        installed.extend(modules)

    yield install
    for module in installed:
        sys.modules.pop(module, None)
