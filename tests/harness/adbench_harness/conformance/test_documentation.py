from __future__ import annotations

import re
from pathlib import Path

from adbench_harness.conformance.rules import dataset_checks, model_checks

PAGE = Path(__file__).parents[4] / "docs" / "checks.md"


def test_every_check_has_its_row_in_the_order_of_the_report() -> None:
    _, models, datasets = re.split(r"^## (?:Models|Datasets)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for text, checks in ((models, model_checks()), (datasets, dataset_checks())):
        assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == [check.name for check in checks]
