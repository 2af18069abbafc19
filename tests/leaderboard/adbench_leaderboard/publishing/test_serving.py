"""What a static host would answer, asked over the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from adbench_harness.api import OptionError, StoreError
from adbench_leaderboard.publishing.serving import Server, server

TYPES = {
    "index.html": "text/html; charset=utf-8",
    "static/site.js": "text/javascript; charset=utf-8",
    "static/engine.wasm": "application/wasm",
    "data/leaderboard.json": "application/json",
    "data/scores.parquet": "application/vnd.apache.parquet",
    "data/odd name é.csv": "text/csv; charset=utf-8",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for name in TYPES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def running(site: Path) -> Iterator[Server]:
    with server(site, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def ask(running: Server, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", running.server_port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_each_file_has_its_type_and_is_asked_for_again(running: Server) -> None:
    for name, kind in TYPES.items():
        response, body = ask(running, "/" + name.replace(" ", "%20").replace("é", "%C3%A9"))
        assert (response.status, response.headers["Content-Type"], body) == (200, kind, name.encode())
        assert response.headers["Cache-Control"] == ("no-store" if name.endswith(".html") else "no-cache")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_root_is_the_index_and_head_has_no_body(running: Server) -> None:
    assert ask(running, "/")[1] == b"index.html"
    response, body = ask(running, "/?a=b", "HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, "10", b"")


@pytest.mark.parametrize("path", ["/static/", "/data/", "/gone.html", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"])
def test_folders_and_what_lies_outside_are_not_there(running: Server, path: str) -> None:
    response, body = ask(running, path)
    assert response.status == 404
    assert body != b"secret"


def test_a_link_that_leaves_the_site_is_not_there(running: Server, site: Path) -> None:
    (site / "out.txt").symlink_to(site.parent / "secret.txt")
    assert ask(running, "/out.txt")[0].status == 404


def test_nonsense_is_answered_and_the_server_goes_on(running: Server) -> None:
    with socket.create_connection(("127.0.0.1", running.server_port), timeout=10) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert b"400" in raw.recv(1000)
    assert ask(running, "/")[0].status == 200


def test_a_port_in_use_is_one_error(running: Server, site: Path) -> None:
    with pytest.raises(OptionError, match=f"port {running.server_port} of 127.0.0.1 is in use"):
        server(site, "127.0.0.1", running.server_port)
    with pytest.raises(OptionError, match=r"cannot listen on 192.0.2.1, port 0: .+; choose others"):
        server(site, "192.0.2.1", 0)


def test_its_address_is_one_that_a_browser_takes(running: Server) -> None:
    assert running.url == f"http://127.0.0.1:{running.server_port}/"


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no site"):
        server(tmp_path, "127.0.0.1", 0)
