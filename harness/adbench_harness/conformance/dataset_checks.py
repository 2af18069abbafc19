"""The rules that a dataset keeps."""

from __future__ import annotations

from typing import Final

from .checks import BrokenRuleError, Check, Checks, Seen
from .dataset_subject import DatasetSubject

CHECKS: Final = Checks[DatasetSubject]()


@CHECKS.add("described", "says what it is")
def _described(subject: DatasetSubject) -> Seen:
    spec = subject.plugin.spec
    words = ("title", "modality", "organ", "citation", "licence", "source", "group_rule")
    missing = [word for word in words if not str(getattr(spec, word)).strip()]
    if missing:
        raise BrokenRuleError(f"the DatasetSpec says nothing under {', '.join(missing)}; the site shows these")
    return Seen(f"{spec.title}: {spec.modality}, {spec.organ}")


def dataset_checks() -> list[Check[DatasetSubject]]:
    """All checks of a dataset, in order."""
    return list(CHECKS.listed)
