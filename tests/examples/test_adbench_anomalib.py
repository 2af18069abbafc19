"""The bridge to anomalib is a third party: it has its own package, its own environment and its own tests, and knows the public API alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "adbench-anomalib"
MODULES = sorted((PACKAGE / "src" / "adbench_anomalib").glob("*.py"))


@pytest.fixture
def project() -> dict[str, Any]:
    """The package's metadata."""
    found: dict[str, Any] = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def imported(module: Path) -> set[str]:
    """Names of all modules that a file imports, at the top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_of_adbench_it_imports_the_public_api_alone(module: Path) -> None:
    ours = {name for name in imported(module) if name.startswith(("adbench_harness", "adbench_models", "adbench_leaderboard"))}
    assert ours <= {"adbench_harness.api"}


def test_every_dependency_has_a_range(project: dict[str, Any]) -> None:
    versions = {words.split(">=")[0]: words.split(">=")[1] for words in project["dependencies"]}
    assert "adbench-harness" in versions
    assert ",<" in versions["anomalib"]


def test_every_entry_point_is_a_module_that_registers_that_name_and_is_in_the_documentation(project: dict[str, Any]) -> None:
    points = project["entry-points"]["adbench.models"]
    registering = {
        f"adbench_anomalib.{module.stem}" for module in MODULES if "register_models" in module.read_text(encoding="utf-8")
    }
    assert set(points.values()) == registering
    pages = [page.read_text(encoding="utf-8") for page in (PACKAGE / "README.md", PACKAGE.parents[1] / "docs" / "anomalib.md")]
    for name, module in points.items():
        code = (PACKAGE / "src" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert f'name="{name}"' in code
        assert all(f"`{name}`" in page for page in pages)


@pytest.mark.slow
def test_in_an_environment_of_its_own_it_installs_and_passes_its_tests(tmp_path: Path) -> None:
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    # adbench and torch are taken from here; the package, anomalib and what it brings are installed there.
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    got = subprocess.run([*pip, "anomalib>=2.7,<3", "timm>=1.0,<2"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"anomalib can't be installed here: {(got.stderr.strip() or 'pip says nothing').splitlines()[-1]}")
    subprocess.run([*pip, "--no-build-isolation", str(PACKAGE)], check=True)
    environment = {name: word for name, word in os.environ.items() if not name.startswith(("ADBENCH_", "PYTHON", "PYTEST_"))}
    result = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACKAGE / "tests")],
        env={**environment, "ADBENCH_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-4000:]
