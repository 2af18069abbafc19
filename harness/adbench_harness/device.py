"""Where a run computes, and under which conditions its numbers can be had again."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from .api import OptionError, TrainingError

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@contextmanager
def reproducible() -> Iterator[None]:
    """Make a GPU's numbers ones that can be had again, inside.

    float32 means float32: torch lets convolutions round to TF32's 10 bits unless told otherwise. And cuDNN takes the algorithms that add up
    in one order: among its others are some that are other in the last bits each time, which training makes large.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark
    cudnn.allow_tf32 = matmul.allow_tf32 = cudnn.benchmark = False
    cudnn.deterministic = True
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark = before


class Compute(BaseModel):
    """The conditions of a run's arithmetic; bits are the same only where these are."""

    model_config = ConfigDict(frozen=True)

    device: str
    """As torch names it: "cpu", "cuda:0", "mps"."""
    device_name: str
    threads: int
    dtype: str
    memory_format: str = "contiguous"
    tf32: bool = False
    torch: str = str(torch.__version__)  # a plain str: checkpoints hold plain types alone

    @property
    def kind(self) -> str:
        """Kind of device: "cpu", "cuda", "mps"."""
        return self.device.partition(":")[0]

    def differences(self, other: Compute) -> list[str]:
        """In what other conditions differ that numbers depend on, in words. One GPU is as good as another of its name, and beside a GPU it
        does not matter how many threads there are."""
        ours, theirs = ({**one.model_dump(), "device": one.kind} for one in (self, other))
        if self.kind != "cpu":
            del ours["threads"]
        return [f"{name} {was!r} is now {theirs[name]!r}" for name, was in ours.items() if was != theirs[name]]


def choose_device(word: str) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        OptionError: for another word, or a device that this machine lacks.
    """
    if word == "auto":
        word = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(word)
    except RuntimeError:
        raise OptionError(f"--device {word}: use auto, cpu, cuda, cuda:N or mps") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise OptionError(f"--device {word}: use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise OptionError(f"--device {word}: this machine has {count} CUDA device(s)")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise OptionError("--device mps: this machine has none")
    return device


def describe(device: torch.device, dtype: str) -> Compute:
    """The conditions on this machine, now."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return Compute(device=str(device), device_name=name, threads=torch.get_num_threads(), dtype=dtype)


def _processor() -> str:
    """The processor's name as people know it; Linux tells it only here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that this process held on a CUDA device; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


@contextmanager
def memory_named(batch_size: int) -> Iterator[None]:
    """Turn torch's out-of-memory errors into one that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"out of memory at batch size {batch_size}; lower it with --set batch_size=N, or use --device cpu"
        ) from None
