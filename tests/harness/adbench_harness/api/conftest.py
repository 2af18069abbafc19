from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def documentation() -> str:
    root = Path(__file__).parents[4]
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "docs").rglob("*.md")))
