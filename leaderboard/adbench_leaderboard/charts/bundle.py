"""The script behind interactive figures: Vega, Vega-Lite and Vega-Embed in one file, as vl-convert brings them."""

from __future__ import annotations

from functools import cache
from typing import Final

NOTICE: Final = """/*! Vega, Vega-Lite and Vega-Embed, bundled by vl-convert.
Copyright (c) 2015-2026 University of Washington Interactive Data Lab and contributors; BSD 3-Clause License, https://github.com/vega */
"""
SNIPPET: Final = "window.vegaEmbed = vegaEmbed;"
"""What of the bundle a page calls."""


@cache
def vega() -> bytes:
    """The bundle; it takes seconds to make, so once a process."""
    import vl_convert  # starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(SNIPPET)
    return (NOTICE + bundle).encode()
