"""The script behind interactive figures: Vega, Vega-Lite and Vega-Embed in one file, as vl-convert brings them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import platformdirs

from adbench_harness.home import put_in_place

NOTICE: Final = """/*! Vega, Vega-Lite and Vega-Embed, bundled by vl-convert.
Copyright (c) 2015-2026 University of Washington Interactive Data Lab and contributors; BSD 3-Clause License, https://github.com/vega */
"""
SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"
"""What of the bundle a page calls."""


@cache
def vega() -> bytes:
    """The bundle. It takes seconds to make, and is the same for one vl-convert, so it is kept in the user's cache."""
    path = kept()
    found = _read(path)
    if found is None:
        found = _made()
        # A cache that can't be written costs the next build seconds, nothing else.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with put_in_place(path) as unfinished:
                unfinished.write_bytes(_digest(found) + found)
    return found


def kept() -> Path:
    """Where the bundle is kept: behind its own digest, under what it is made by and from."""
    words = hashlib.sha256((NOTICE + SNIPPET).encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("adbench", appauthor=False)
    return folder / f"vega-{version('vl-convert-python')}-{words}.js"


def _read(path: Path) -> bytes | None:
    """The bundle that is kept; None if none is, or not the whole of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    bundle = content[len(_digest(b"")) :]
    return bundle if content == _digest(bundle) + bundle else None


def _digest(bundle: bytes) -> bytes:
    return hashlib.sha256(bundle).hexdigest().encode() + b"\n"


def _made() -> bytes:
    import vl_convert  # starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(SNIPPET)
    return (NOTICE + bundle).encode()
