"""What a plugin does beside its work: files that it writes or looks into, what it prints, processes and global states it leaves.

Python's audit events tell of files that Python code opens, makes, renames or removes; a library's own C code is not seen.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

CHANGING: Final = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "shutil.rmtree": (0,),
}
"""Audit events that change files, and which arguments are paths."""
LOOKING: Final = {"os.listdir": (0,), "os.scandir": (0,), "glob.glob": (0,)}
REACHING: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"})
"""Events that reach for the network, or for another process."""
STARTING: Final = frozenset({"subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"})

_watches: list[Watch] = []
_hooked = False


@dataclass
class Watch:
    """What was seen while it lasted."""

    allowed: Path
    """The folder that may be written into."""
    secret: Path
    """A folder that nothing should look into."""
    written: list[str] = field(default_factory=list)
    looked_into: list[str] = field(default_factory=list)
    printed: str = ""
    children: list[int] = field(default_factory=list)
    """Processes that were started and still run."""
    started: list[str] = field(default_factory=list)
    """How processes were started, ended or not."""
    reached: list[str] = field(default_factory=list)
    """Addresses on the network that were looked for."""
    changed: list[str] = field(default_factory=list)
    """Global states that are not as they were."""
    seeded: list[str] = field(default_factory=list)
    """Calls that seed torch's global generator."""

    def event(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Take notice of an audit event."""
        if name == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            mode, flags = arguments[1], arguments[2]
            writes = (
                any(letter in mode for letter in "wax+")
                if isinstance(mode, str)
                else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            )
            self._path(arguments[0], writes)
        for place in CHANGING.get(name, ()):
            self._path(arguments[place], writes=True)
        for place in LOOKING.get(name, ()):
            self._path(arguments[place], writes=False)
        if name in STARTING:
            self.started.append(name)
        if name in REACHING and (address := _address(name, arguments)) is not None:
            self.reached.append(address)

    def _path(self, given: Any, writes: bool) -> None:
        try:
            path = Path(os.path.abspath(os.fsdecode(given)))  # noqa: PTH100 - resolve() would follow links, which is another place
        except TypeError:  # a file descriptor, or nothing
            return
        if path.is_relative_to(self.secret):
            self.looked_into.append(str(path))
        elif writes and not path.is_relative_to(self.allowed) and not _of_no_plugin(path):
            self.written.append(str(path))


@contextmanager
def watching(allowed: Path, secret: Path) -> Iterator[Watch]:
    """Watch what happens inside; one at a time."""
    watch = Watch(allowed, secret)
    children, states = _children(), _global_states()
    seed = torch.manual_seed
    _hook()
    stdout = sys.stdout
    stdout.flush()
    # Who prints from Python goes by sys.stdout, which may be no descriptor 1: pytest has another.
    with tempfile.TemporaryFile() as printed, open(printed.fileno(), "w", closefd=False) as stream, redirect_stdout(stream):
        kept = os.dup(1)
        os.dup2(printed.fileno(), 1)
        torch.manual_seed = _told(watch, seed)  # type: ignore[assignment]  # its parameter has no type
        _watches.append(watch)
        try:
            yield watch
        finally:
            _watches.remove(watch)
            torch.manual_seed = seed
            stream.flush()
            stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
            printed.seek(0)
            watch.printed = printed.read(2000).decode(errors="replace")
    watch.children = sorted(_children() - children)
    watch.changed = [name for name, before in states.items() if _global_states()[name] != before]


def _hook() -> None:
    """An audit hook can't be taken away again, so there is one, which does nothing while nobody watches."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True


def _heard(name: str, arguments: tuple[Any, ...]) -> None:
    for watch in _watches:
        watch.event(name, arguments)


def _told(watch: Watch, seed: Callable[[int], torch.Generator]) -> Callable[[int], torch.Generator]:
    def told(number: int) -> torch.Generator:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if not caller.startswith("adbench_harness."):  # the harness seeds it for each phase, and puts it back
            watch.seeded.append(caller)
        return seed(number)

    return told


def _address(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Where a socket reaches to, as ``host:port``; None for a socket that is a file, or is connected already."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return str(arguments[0])
    where = arguments[1]
    return ":".join(map(str, where[:2])) if isinstance(where, tuple) else None


def _of_no_plugin(path: Path) -> bool:
    """Whether Python or torch's compilers keep there what they have compiled, or nothing is kept."""
    # torch names the folder in the environment before it makes it.
    compiled = [os.environ[name] for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR") if name in os.environ]
    return "__pycache__" in path.parts or path == Path(os.devnull) or any(map(path.is_relative_to, ("/dev", "/proc", *compiled)))


def _children() -> set[int]:
    """Processes of this one that run; Linux tells. Elsewhere those of multiprocessing alone."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        import multiprocessing

        return {child.pid for child in multiprocessing.active_children() if child.pid is not None}
    found: set[int] = set()
    for task in tasks.iterdir():
        try:
            found.update(map(int, (task / "children").read_text().split()))
        except OSError:  # a thread that has ended
            continue
    return found


def _global_states() -> dict[str, object]:
    """What all code in a process shares, by name."""
    return {
        "Python's random": hash(random.getstate()),
        "numpy.random": _numpy_state(),
        "torch.get_default_dtype": torch.get_default_dtype(),
        "torch.get_num_threads": torch.get_num_threads(),
        "torch.is_grad_enabled": torch.is_grad_enabled(),
        "torch.are_deterministic_algorithms_enabled": torch.are_deterministic_algorithms_enabled(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "torch.backends.cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "the working folder": str(Path.cwd()),
    }


def _numpy_state() -> str:
    state: Any = np.random.get_state(legacy=False)
    return hashlib.sha256(repr((state["state"]["key"].tobytes(), state["state"]["pos"])).encode()).hexdigest()
