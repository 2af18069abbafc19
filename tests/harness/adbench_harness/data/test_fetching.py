from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adbench_harness.api import DataError, DatasetSpec, Download
from adbench_harness.data import fetching
from adbench_harness.data.fetching import CHUNK, fetch
from adbench_harness.home import Home

BODY = bytes(range(256)) * 4096
Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """A web server on loopback whose answers a test chooses, one a request; the last one goes on."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = len(outer.ranges)
                outer.ranges.append(self.headers.get("Range"))
                outer.answers[min(number, len(outer.answers) - 1)](self, number)

            def log_message(self, *args: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/set/all.tar.gz"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def whole(handler: BaseHTTPRequestHandler, number: int, *, cut: int | None = None, etag: str = '"one"') -> None:
    """The file, or what a Range asks for if the version is still this one; ``cut`` ends the connection early."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and handler.headers.get("If-Range") == etag else 0
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(BODY) - start))
    handler.send_header("ETag", etag)
    handler.end_headers()
    handler.wfile.write(BODY[start : len(BODY) if cut is None else start + cut])


def cut(handler: BaseHTTPRequestHandler, number: int) -> None:
    whole(handler, number, cut=18 * CHUNK)


def status(code: int) -> Answer:
    return lambda handler, number: handler.send_error(code)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def spec(*downloads: Download) -> DatasetSpec:
    words: dict[str, Any] = dict.fromkeys(("title", "modality", "organ", "citation", "licence", "group_rule"), "")
    return DatasetSpec(name="made", samples=lambda root: [], source="by post", downloads=downloads, **words)


def kept(home: Home) -> list[str]:
    return sorted(path.name.rpartition("-")[2] for path in (home.root / "cache" / "downloads").iterdir())


def test_a_file_is_downloaded_and_its_progress_told(server: Server, home: Home) -> None:
    server.answers = [whole]
    seen: list[tuple[int, int | None]] = []
    found = fetch(spec(Download(server.url, sha256=hashlib.sha256(BODY).hexdigest())), home, lambda *at: seen.append(at))
    assert found.path.read_bytes() == BODY
    assert found.ours
    assert seen[-1] == (len(BODY), len(BODY))
    assert kept(home) == ["all.tar.gz"]


def test_a_cut_connection_goes_on_where_it_was_cut(server: Server, home: Home) -> None:
    server.answers = [cut, cut, whole]
    found = fetch(spec(Download(server.url)), home, pause=0)
    assert found.path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={18 * CHUNK}-", f"bytes={36 * CHUNK}-"]


def test_after_too_many_cuts_the_part_is_kept_and_the_next_command_goes_on(server: Server, home: Home) -> None:
    server.answers = [lambda handler, number: whole(handler, number, cut=6 * CHUNK)]
    with pytest.raises(
        DataError, match=r"tried 5 times.*; 491,520 bytes are kept, the same command goes on; or get it yourself \(by post\)"
    ):
        fetch(spec(Download(server.url)), home, pause=0)
    server.answers = [whole]
    assert fetch(spec(Download(server.url)), home, pause=0).path.read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={30 * CHUNK}-"


def test_a_file_that_changed_meanwhile_is_taken_from_the_start(server: Server, home: Home) -> None:
    server.answers = [cut, lambda handler, number: whole(handler, number, etag='"two"')]
    assert fetch(spec(Download(server.url)), home, pause=0).path.read_bytes() == BODY


def test_a_file_with_another_hash_is_removed(server: Server, home: Home) -> None:
    server.answers = [whole]
    with pytest.raises(DataError, match="another file than the one that is known"):
        fetch(spec(Download(server.url, sha256="0" * 64)), home, pause=0)
    assert kept(home) == []


@pytest.mark.parametrize("code", [403, 404, 500])
def test_a_refusal_is_told_at_once_with_the_way_by_hand(server: Server, home: Home, code: int) -> None:
    server.answers = [status(code)]
    with pytest.raises(DataError, match=rf"answers {code} .*adbench datasets import made PATH"):
        fetch(spec(Download(server.url)), home, pause=0)
    assert len(server.ranges) == 1


def test_a_redirect_to_another_host_is_followed(server: Server, home: Home) -> None:
    other = Server()
    other.answers = [whole]

    def redirect(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(302)
        handler.send_header("Location", other.url.replace("127.0.0.1", "localhost"))
        handler.end_headers()

    server.answers = [redirect]
    try:
        assert fetch(spec(Download(server.url)), home, pause=0).path.read_bytes() == BODY
    finally:
        other.close()


def test_a_server_that_stops_sending_is_given_up(server: Server, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, number: int) -> None:
        whole(handler, number, cut=1000)
        handler.wfile.flush()
        released.wait(20)

    monkeypatch.setattr(fetching, "TIMEOUT", (1.0, 0.2))
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    server.answers = [stall]
    with pytest.raises(DataError, match=r"tried 2 times: .*timed out"):
        fetch(spec(Download(server.url)), home, pause=0)
    released.set()


def test_no_network_is_said(home: Home) -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x can't be fetched, tried 5 times: .*refused"):
        fetch(spec(Download("http://127.0.0.1:9/x")), home, pause=0)


def test_a_full_disk_is_said(server: Server, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [whole]

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device", "part")

    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r", *a, **k: Full() if mode == "wb" else real(self, mode, *a, **k))
    with pytest.raises(DataError, match=r"cannot write part: No space left on device; free space or choose --home"):
        fetch(spec(Download(server.url)), home, pause=0)


def test_the_next_place_is_tried(server: Server, home: Home) -> None:
    server.answers = [status(404), whole]
    found = fetch(spec(Download(server.url), Download(f"{server.url}?mirror")), home, pause=0)
    assert found.origin.endswith("?mirror")


def test_kaggle_is_asked_through_kagglehub(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(handle: str) -> str:
        asked.append(handle)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=download))
    found = fetch(spec(Download("kaggle:owner/set")), home)
    assert (found.path, found.ours, asked) == (tmp_path, False, ["owner/set"])


def test_what_kaggle_needs_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError, match=r"pip install 'adbench-harness\[kaggle\]'"):
        fetch(spec(Download("kaggle:owner/set")), home)

    def refuse(handle: str) -> Any:
        raise RuntimeError("401 Unauthorized")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=refuse))
    with pytest.raises(DataError, match=r"401 Unauthorized; if it asks for an account, make a token at https://www.kaggle.com"):
        fetch(spec(Download("kaggle:owner/set")), home)


def test_a_dataset_without_a_download_says_how_to_get_it(home: Home) -> None:
    with pytest.raises(DataError, match="get it yourself \\(by post\\)"):
        fetch(spec(), home)
