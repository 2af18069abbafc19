"""What the static contracts can't see: which modules are imported when."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "duckdb", "numpy", "pyarrow", "sklearn", "scipy", "PIL", "jinja2", "pydantic", "rich")


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in result.stderr.split()}


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["results", "--help"], ["--version"]])
def test_help_costs_no_heavy_import(words: list[str]) -> None:
    loaded = loaded_after(f"from adbench_harness.cli import cli\ncli.main({words!r}, standalone_mode=False)")
    assert "click" in loaded
    assert not loaded & set(HEAVY)


def test_listing_models_imports_no_plugin_and_no_torch() -> None:
    loaded = loaded_after("from adbench_harness.cli import cli\ncli.main(['models', 'list'], standalone_mode=False)")
    assert not loaded & {"torch", "adbench_models", "duckdb"}


def test_the_api_needs_no_torch() -> None:
    assert "torch" not in loaded_after("import adbench_harness.api")


def test_asking_for_one_model_imports_that_one() -> None:
    script = (
        "import sys\nfrom adbench_harness import registry\nregistry.model('pca')\nprint('adbench_models.multikd' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"


def test_idle_threads_do_not_spin() -> None:
    code = "import os\nfrom adbench_harness.cli import main\nsys.argv = ['adbench', '--version']\ntry:\n    main()\nexcept SystemExit: pass"
    script = f"import sys\n{code}\nprint(os.environ['OMP_WAIT_POLICY'])"
    import os

    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.endswith("PASSIVE\n")
