"""The checkpoint of a run under way: atomic, loadable without pickle's freedom, and only under the conditions it was made in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch

from .api import StoreError, TrainingError
from .device import Compute
from .home import beside

IfMoved = Literal["refuse", "restart", "go-on"]

FORMAT: Final = 2
KEYS: Final = frozenset(
    [
        "phase",
        "epoch",
        "step",
        "sums",
        "counts",
        "random",
        "global",
        "modules",
        "optimisers",
        "finished",
        "curves",
        "steps",
        "presented",
        "epochs",
        "resumed",
        "seconds",
    ]
)
"""What training.py goes on from."""


@dataclass(frozen=True)
class CheckpointFile:
    """Where the checkpoint of one run lies, and under which conditions it may be gone on from."""

    path: Path
    compute: Compute
    if_moved: IfMoved = "refuse"
    """What to do with a checkpoint that was made under other conditions."""
    moved: list[str] = field(default_factory=list, compare=False)
    """What was different where the work went on under other conditions, or why it was started over; filled as it is read."""

    def save(self, content: Mapping[str, Any]) -> None:
        """Write beside, sync, rename: a kill leaves the old checkpoint or the new one.

        Raises:
            StoreError: if it can't be written (full disk); the old one stays.
        """
        unfinished = beside(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as stream:
                torch.save({"format": FORMAT, "compute": self.compute.model_dump(), "moved": self.moved, **content}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise StoreError(f"cannot write checkpoint {self.path}: {error}; free space, then run again") from None
        finally:
            unfinished.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint's content, or None if there is none.

        Raises:
            TrainingError: if it can't be read, or was made under other conditions and that is to be refused: going on gives other numbers.
        """
        if not self.path.is_file():
            return None
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            made = Compute.model_validate(content["compute"])
            form = content["format"]
        except Exception as error:
            raise TrainingError(
                f"checkpoint {self.path} can't be read ({type(error).__name__}); start over with --fresh"
            ) from None
        if form != FORMAT or not set(content) >= KEYS:
            raise TrainingError(f"checkpoint {self.path} was written by another adbench; start over with --fresh")
        return content if self._may_go_on(made, content) else None

    def _may_go_on(self, made: Compute, content: Mapping[str, Any]) -> bool:
        """Whether to go on from a checkpoint, or to start over. Raises TrainingError if neither."""
        before: list[str] = content.get("moved", [])
        changed = made.differences(self.compute)
        words = "; ".join(changed)
        if changed and self.if_moved == "restart":
            self.moved.append(f"started over, since its checkpoint was made under other conditions ({words})")
            return False
        if changed and (self.if_moved == "refuse" or made.kind != self.compute.kind):
            ways = (
                "start over with --fresh"
                if made.kind != self.compute.kind
                else "say --if-moved go-on, or start over with --fresh"
            )
            raise TrainingError(
                f"checkpoint {self.path} was made under other conditions ({words}); go on under the old ones, {ways}"
            )
        self.moved.extend([*before, *([f"went on under other conditions: {words}"] if changed else [])])
        return True

    def remove(self) -> None:
        """Remove the checkpoint with its folder, once the run is stored or started over."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
