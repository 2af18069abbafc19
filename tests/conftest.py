"""What many tests need: a home, a results folder, installed plugins of a third party, distributions made up on the spot, and
processes that start quickly."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from adbench_harness.home import Home, Results

THIRD_PARTY = Path(__file__).parent / "third_party"

FakeDistribution = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


@pytest.fixture(scope="session")
def tiny_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed tests/third_party/adbench-tiny."""
    return _installed("adbench-tiny", tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def broken_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed tests/third_party/adbench-broken."""
    return _installed("adbench-broken", tmp_path_factory.mktemp("broken"))


def _installed(name: str, place: Path) -> Path:
    """As any user would install it, but with no network."""
    shutil.copytree(THIRD_PARTY / name, place / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(place / "site"), str(place / "source")], check=True)
    return place / "site"


@pytest.fixture
def tiny(tiny_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third party's plugins, installed for this test and the processes it starts."""
    monkeypatch.syspath_prepend(str(tiny_site))
    monkeypatch.setenv("PYTHONPATH", str(tiny_site))
    return tiny_site


@pytest.fixture
def broken(broken_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Detectors that break one rule each, installed for this test and the processes it starts."""
    monkeypatch.syspath_prepend(str(broken_site))
    monkeypatch.setenv("PYTHONPATH", str(broken_site))
    return broken_site


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistribution]:
    """Installs a distribution made of source text: fake(name, version, {module: source}, {group: {entry point: module}})."""
    site = tmp_path / "fake-site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    installed: list[str] = []

    def install(name: str, version: str, modules: dict[str, str], groups: dict[str, dict[str, str]]) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [
            f"[{group}]\n" + "\n".join(f"{point} = {module}" for point, module in points.items())
            for group, points in groups.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        installed.extend(modules)

    yield install
    for module in installed:
        sys.modules.pop(module, None)


class Forked:
    """A process of its own, as subprocess.Popen would give it."""

    def __init__(self, connection: socket.socket) -> None:
        self._answers = connection.makefile()
        self._connection = connection
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit status, or None while it runs."""
        if self.returncode is None and not select.select([self._connection], [], [], 0)[0]:
            return None
        return self.wait()

    def wait(self) -> int:
        """Exit status, when it has ended."""
        if self.returncode is None:
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode


@dataclass
class Warm:
    """Stands for ``subprocess`` where that starts Python: a process costs no three seconds of importing torch.

    A process has its own modules of adbench, environment, folder, streams and exit status; libraries are already imported, and the
    hash seed is that of the others. It is started by ``[sys.executable, "-c" | "-m", ...]``.
    """

    place: Path
    """Of the socket."""
    python: Path
    """Stands for ``python`` in a shell, and, as the first word of a command, for the processes that it starts in turn."""
    DEVNULL: int = field(default=subprocess.DEVNULL, init=False)

    def Popen(  # noqa: N802 - subprocess calls it so
        self,
        command: Sequence[str],
        *,
        stdout: IO[Any] | int,
        stderr: IO[Any] | int,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> Forked:
        """Start a process, and go on."""
        request = {
            "python": command[0],
            "words": list(command[1:]),
            "folder": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "session": start_new_session,
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.place))
        with Path(os.devnull).open("r+b") as nothing:
            streams = [nothing if stream == subprocess.DEVNULL else stream for stream in (nothing, stdout, stderr)]
            numbers = [stream if isinstance(stream, int) else stream.fileno() for stream in streams]
            content = json.dumps(request).encode()
            sent = socket.send_fds(connection, [content], numbers)
            connection.sendall(content[sent:])
        connection.shutdown(socket.SHUT_WR)
        return Forked(connection)

    def run(
        self,
        command: Sequence[str],
        *,
        capture_output: bool = True,
        text: bool = True,
        check: bool = False,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Start a process, wait until it ends, and read what it said."""
        assert capture_output
        assert text
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as told:
            status = self.Popen(command, stdout=said, stderr=told, cwd=cwd, env=env).wait()
            said.seek(0)
            told.seek(0)
            done = subprocess.CompletedProcess(list(command), status, said.read(), told.read())
        if check:
            done.check_returncode()
        return done


@contextmanager
def _warm(python: str) -> Iterator[Warm]:
    with tempfile.TemporaryDirectory(prefix="warm-") as made:  # a socket's path has to be short
        here, folder = Path(__file__).parent, Path(made)
        (folder / "python").write_text(
            f'#!/bin/sh\nexec {python} -SE {here / "warm_python.py"} {folder / "socket"} {python} "$0" "$@"\n'
        )
        (folder / "python").chmod(0o755)
        clean = {name: word for name, word in os.environ.items() if name != "PYTHONPATH"}
        command = [python, "-P", str(here / "warm_process.py"), str(folder / "socket")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield Warm(folder / "socket", folder / "python")


@pytest.fixture(scope="session")
def start_warm() -> Callable[[str], AbstractContextManager[Warm]]:
    """Starts a process of a Python of which others are forked."""
    return _warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Starts processes of this Python that need not import torch."""
    with _warm(sys.executable) as started:
        yield started
