"""Random streams by name: each derives from the run's seed and what it is for, so no stream depends on another's use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, the same on every platform."""
    text = "|".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """A random generator for one purpose, on a device."""
    made = torch.Generator(device)
    made.manual_seed(derive(seed, *purpose))
    return made


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Keep torch's global random state as it was, whatever layers and dropout draw from it inside."""
    apple = torch.mps.get_rng_state() if device.type == "mps" else None  # which fork_rng can't save
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        if apple is not None:
            torch.mps.set_rng_state(apple)


def seed_global(seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, which layers draw from that take no generator (dropout, initialisation)."""
    torch.manual_seed(derive(seed, *purpose))


def global_state(device: torch.device) -> dict[str, torch.Tensor]:
    """State of torch's global generators that a run on ``device`` uses."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_global(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what ``global_state`` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])
