"""Serve a built site on this machine, as a static host would: for looking at it, not for publishing."""

from __future__ import annotations

import errno
import os
import socket
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from adbench_harness.api import OptionError, StoreError

INDEX: Final = "index.html"


class Server(ThreadingHTTPServer):
    """Serves one folder. Raises OptionError where it can't listen."""

    # On Windows it would let two servers listen on one port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, site: Path, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), partial(_Handler, directory=os.fspath(site)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = f"port {port} of {host} is in use; choose another with --port, or 0 for any that is free"
            else:
                reason = f"cannot listen on {host}, port {port}: {error.strerror or error}; choose others with --host and --port"
            raise OptionError(reason) from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away in the middle is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def server(site: Path, host: str, port: int) -> Server:
    """A server of a site that listens already; ``serve_forever`` answers.

    Args:
        site: the folder that was built.
        host: name or address of this machine to listen on.
        port: 0 for any that is free.

    Raises:
        StoreError: if the folder holds no site.
        OptionError: if the port is in use or the host is none of this machine.
    """
    if not (site / INDEX).is_file():
        raise StoreError(f"{site} holds no site, since it has no {INDEX}; make one: adbench leaderboard build --out {site}")
    return Server(site, host, port)


class _Handler(SimpleHTTPRequestHandler):
    """Answers as a static host does: files of the folder and nothing else, each by its type."""

    protocol_version = "HTTP/1.1"
    server_version = "adbench"
    sys_version = ""
    # Written out, since a machine's own table of types can say otherwise, and a browser runs no script of another type.
    extensions_map = {  # noqa: RUF012  # as the class above has it
        "": "application/octet-stream",
        ".bib": "text/plain; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".csv": "text/csv; charset=utf-8",
        ".duckdb": "application/octet-stream",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".jpg": "image/jpeg",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".parquet": "application/vnd.apache.parquet",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        ".webp": "image/webp",
    }

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """By the end of the name alone."""
        return self.extensions_map.get(Path(path).suffix.lower(), self.extensions_map[""])

    def send_head(self) -> Any:
        """A file, or nothing: what lies outside of the folder, also behind a link, is not there."""
        target = Path(self.translate_path(self.path))
        if not target.resolve().is_relative_to(Path(self.directory).resolve()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """A folder without an index is not there."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Pages are never kept, other files asked for again, so that a rebuilt site is what one sees."""
        # A request that is none has no path.
        kept = Path(self.translate_path(getattr(self, "path", ""))).suffix not in ("", ".html")
        self.send_header("Cache-Control", "no-cache" if kept else "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing: a page is dozens of requests."""
