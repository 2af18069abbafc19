"""What a page costs a phone: python bench/page.py SITE [PAGE] [TIMES].

Opens a page of a built site in headless Chromium (ADBENCH_CHROMIUM, or chromium on the path) as a phone of the middle class would:
412 x 823, a processor four times slower, files packed with gzip. Beside it, in turns, an empty page, which says what the browser and
this machine cost by themselves. Interactive is what Lighthouse calls so: no task longer than 50 ms follows. Prints medians, and work:
the processor time of the page's main thread, not slowed down, which says the same on a busy machine; on one, `chrt -f 5 python
bench/page.py SITE` keeps others from coming between.
"""

from __future__ import annotations

import gzip
import mimetypes
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
PHONE: Final[Mapping[str, Any]] = {
    "viewport": {"width": 412, "height": 823},
    "device_scale_factor": 1.75,
    "is_mobile": True,
    "has_touch": True,
}
SLOWER: Final = 4
QUIET_MS: Final = 2500
EMPTY: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><title>Empty</title><link rel="icon" href="data:,"><p>Nothing.</p>'
)
WATCH: Final = """(() => {
  window.seen = { long: [], moved: 0 };
  new PerformanceObserver(list => { for (const one of list.getEntries()) seen.long.push([one.startTime, one.duration]); })
    .observe({ type: 'longtask', buffered: true });
  new PerformanceObserver(list => { for (const one of list.getEntries()) if (!one.hadRecentInput) seen.moved += one.value; })
    .observe({ type: 'layout-shift', buffered: true });
})()"""
READ: Final = """() => {
  const [page] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  return {
    painted: paint.startTime, loaded: page.domContentLoadedEventEnd, ...seen, elements: document.querySelectorAll('*').length,
    packed: page.encodedBodySize + performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0),
    unpacked: page.decodedBodySize,
  };
}"""
COLUMNS: Final = {
    "painted": "first paint, ms",
    "interactive": "interactive, ms",
    "blocked": "blocked, ms",
    "moved": "layout shift",
    "work": f"work x {SLOWER}, ms",
    "elements": "elements",
    "unpacked": "page, kB",
    "packed": "with all it loads, packed, kB",
}


def main(site: Path, page: str, times: int) -> None:
    """Open both in turns, print a table."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as steered:
        (Path(folder) / "index.html").write_bytes(EMPTY)
        browser = steered.chromium.launch(
            executable_path=os.environ.get("ADBENCH_CHROMIUM") or shutil.which("chromium"), args=list(ARGUMENTS)
        )
        with served(Path(folder)) as empty, served(site) as full:
            pages = {"empty": f"{empty}index.html", page: f"{full}{page}"}
            visit(browser, pages["empty"], SLOWER)  # the first page of a browser is slower
            found: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
            for _ in range(times):
                for name, address in pages.items():
                    found[name].append(both(browser, address))
        browser.close()
    print(f"{'':<32}{''.join(f'{name:>14}' for name in pages)}{'ratio':>10}")
    for key, title in COLUMNS.items():
        nothing, value = (median(one[key] for one in found[name]) for name in pages)
        ratio = f"{value / nothing:10.1f}" if nothing and key in ("painted", "interactive", "work") else ""
        print(f"{title:<32}{nothing:14.{digits(key)}f}{value:14.{digits(key)}f}{ratio}")
    ends = [sorted(one["interactive"] for one in found[name]) for name in pages]
    print(
        f"interactive from {ends[0][0]:.0f} to {ends[0][-1]:.0f} ms and from {ends[1][0]:.0f} to {ends[1][-1]:.0f} ms; load {os.getloadavg()[0]:.1f}"
    )


def digits(key: str) -> int:
    """Digits behind the point."""
    return 3 if key == "moved" else 0


def both(browser: Browser, address: str) -> dict[str, float]:
    """What one visit on the slow processor and one on that of this machine say."""
    found = visit(browser, address, SLOWER)
    found["work"] = SLOWER * visit(browser, address, 1)["work"]
    return found


def visit(browser: Browser, address: str, slower: float) -> dict[str, float]:
    """One load of a page without a cache: milliseconds, kilobytes, counts."""
    context = browser.new_context(**PHONE)
    tab = context.new_page()
    tab.add_init_script(WATCH)
    session = context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    tab.goto(address, wait_until="load")
    tab.wait_for_timeout(QUIET_MS)
    measured = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    found = tab.evaluate(READ)
    context.close()
    painted = found["painted"]
    late = [(start, taken) for start, taken in found.pop("long") if start + taken > painted]
    return {
        **found,
        "interactive": max(painted, found["loaded"], *(start + taken for start, taken in late)),
        "blocked": sum(max(0.0, min(taken, start + taken - painted) - 50) for start, taken in late),
        "work": measured["TaskDuration"] * 1000,
        "packed": found["packed"] / 1000,
        "unpacked": found["unpacked"] / 1000,
    }


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder as most hosts do, packed; its address."""

    class Packed(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            file = folder / unquote(urlsplit(self.path).path).lstrip("/")
            content = gzip.compress(file.read_bytes()) if file.is_file() else b""
            self.send_response(HTTPStatus.OK if content else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")
            if content:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Packed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2] if len(sys.argv) > 2 else "index.html",
        int(sys.argv[3]) if len(sys.argv) > 3 else 7,
    )
