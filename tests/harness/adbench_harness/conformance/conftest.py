from __future__ import annotations

from typing import Any

import pytest

from adbench_harness.conformance import model_checks, supervise


@pytest.fixture(autouse=True)
def quickly(warm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that checks start are as separate as ever, but need not import torch: there are fifty."""
    monkeypatch.setattr(model_checks, "subprocess", warm)
    monkeypatch.setattr(supervise, "subprocess", warm)
