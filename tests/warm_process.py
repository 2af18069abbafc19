"""A process that has imported what takes long to import, and of which a fork does what a fresh ``python`` would do.

The fixture ``start_warm`` starts it with the place of a socket; it ends when its stdin is closed. It imports libraries alone: a fork
imports adbench and its plugins itself, as any process does, so what only works in some order of imports still shows.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import site
import socket
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = (
    "click",
    "duckdb",
    "filelock",
    "imagehash",
    "jinja2",
    "numpy",
    "PIL.Image",
    "pluggy",
    "pyarrow.parquet",
    "pydantic",
    "rich.console",
    "rich.progress",
    "rich.table",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.metrics",
    "torch",
    "torch._dynamo",
)

REAL: Final = sys.executable


def serve(place: str) -> socket.socket | None:
    """Fork for each who connects, until stdin is closed; in the fork, the connection."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listening.fileno(), 0], [], [])
            if listening.fileno() not in ready:
                return None
            connection, _ = listening.accept()
            if os.fork() == 0:
                return connection
            connection.close()
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def answer(connection: socket.socket) -> None:
    """Start what is asked for, tell its number, and its exit status when it has ended."""
    text, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while part := connection.recv(2**16):
        text += part
    child = os.fork()
    if child == 0:
        connection.close()
        for own, stream in enumerate(streams):
            os.dup2(stream, own)
            os.close(stream)
        end(become, json.loads(text))
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{child}\n".encode())
    connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    os._exit(0)


def become(asked: dict[str, Any]) -> None:
    """Do what ``python -c CODE ...`` or ``python -m MODULE ...`` does."""
    if asked["session"]:
        os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.executable = asked["python"]
    multiprocessing.set_executable(REAL)  # its processes talk through pipes of their own, which no fork of ours has
    way, what, *words = asked["words"]
    site.main()  # what was installed meanwhile
    importlib.invalidate_caches()
    own = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = ["" if way == "-c" else str(Path.cwd()), *(place for place in own.split(os.pathsep) if place)]
    sys.argv = [way, *words]
    if way == "-c":
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def end(do: Any, *given: Any) -> None:
    """Do it, and end as Python ends, but for taking all libraries apart, which takes a second."""
    status = 0
    try:
        do(*given)
    except SystemExit as asked:
        if asked.code is not None and not isinstance(asked.code, int):
            sys.stderr.write(f"{asked.code}\n")
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # no fork looks through what it shares
    if (connection := serve(sys.argv[1])) is not None:
        answer(connection)
