from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adbench_harness.api import BuildContext

MakeContext = Callable[..., BuildContext]


@pytest.fixture
def make_context() -> MakeContext:
    def make(**changes: Any) -> BuildContext:
        plain: dict[str, Any] = {
            "device": torch.device("cpu"),
            "dtype": torch.float32,
            "channels": 3,
            "image_size": 32,
            "generator": torch.Generator().manual_seed(1),
        }
        return BuildContext(**{**plain, **changes})

    return make


@pytest.fixture(scope="session")
def parity_folder() -> Path:
    """Numbers that the public implementations gave."""
    stated = os.environ.get("ADBENCH_TEST_DATA")
    root = Path(stated).parent if stated else Path(__file__).parents[5] / "shared"
    if not (root / "parity").is_dir():
        pytest.skip("the parity vectors are not on this machine")
    return root / "parity"
