"""What stands for ``python`` where processes of processes are to start quickly: asks the process at a socket for a fork.

``warm_python.py SOCKET PYTHON NAME WORD...``: words that it can't fork for go to the real Python; the fork takes NAME for its own.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(place: str, python: str, name: str, *words: str) -> int:
    if words[:1] not in (("-c",), ("-m",)):
        os.execv(python, [python, *words])
    request = {"python": name, "words": words, "folder": os.getcwd(), "environment": dict(os.environ), "session": False}  # noqa: PTH109 - pathlib costs an import
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        content = json.dumps(request).encode()
        connection.sendall(content[socket.send_fds(connection, [content], [0, 1, 2]) :])
        connection.shutdown(socket.SHUT_WR)
        _, status = connection.makefile().read().split()
    return int(status) if int(status) >= 0 else 128 - int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
