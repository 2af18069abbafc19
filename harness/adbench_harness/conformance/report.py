"""What a check found, and all checks of one plugin on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from ..api import Json

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """One check's outcome."""

    check: str
    title: str
    """The rule, in a few words."""
    status: Status
    message: str
    """What was seen; where it failed: what is wrong and what to do."""
    seconds: float = 0.0
    facts: Mapping[str, Json] = field(default_factory=dict)
    """Numbers behind the message."""

    def plain(self) -> dict[str, Json]:
        """As JSON."""
        plain: dict[str, Json] = asdict(self)
        return plain


@dataclass(frozen=True)
class Report:
    """Everything that was checked of one plugin, in one place."""

    kind: Literal["model", "dataset"]
    name: str
    plugin: str
    """Distribution, version and module."""
    options: Mapping[str, str]
    """As they were set; empty for the defaults."""
    device: str
    """As torch names it; empty for a dataset."""
    case: str
    """What was learnt from and scored, and with what budget."""
    results: Sequence[Result]

    @property
    def passed(self) -> bool:
        """Whether no check failed and at least one passed."""
        return not self.failed and any(result.status == "passed" for result in self.results)

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [result.check for result in self.results if result.status == "failed"]

    def plain(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "plugin": self.plugin,
            "options": dict(self.options),
            "device": self.device,
            "case": self.case,
            "passed": self.passed,
            "failed": [*self.failed],
            "results": [result.plain() for result in self.results],
        }
