"""What the tutorials show is what happens: each command is run, and its output compared.

In a ``console`` block a line that begins with "$ " is a command, what follows is its output. A ``python`` block with a title is the
text of that file. A line of three dots stands for any lines, three dots in a line for anything in it; how wide a gap is says nothing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r'^```(console|python title="(?P<path>[^"]+)")\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["write-a-model", "write-a-dataset"])
def test_a_tutorial_does_what_it_shows(page: str, reader: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "work"
    place.mkdir()
    for block in BLOCK.finditer((DOCS / f"{page}.md").read_text()):
        if block["path"] is not None:
            (place / block["path"]).write_text(block["text"])
            continue
        for command, expected in commands(block["text"]):
            shell = f"{command}\necho $PWD > {tmp_path}/where"
            done = subprocess.run(
                ["bash", "-c", shell],
                cwd=place,
                env=reader,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert pattern(expected).fullmatch(done.stdout), f"$ {command}\n{done.stdout}"
            place = Path((tmp_path / "where").read_text().strip())


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a block, and the output that is shown behind it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(shown: str) -> re.Pattern[str]:
    """What an output must be to be what a page shows."""
    lines = []
    for line in shown.splitlines():
        words = (re.escape(word).replace(re.escape("..."), ".*") for word in line.split())
        lines.append(r"(?:.*\n)*?" if line == "..." else r"[ \t]*" + r"[ \t]+".join(words) + r"[ \t]*\n")
    return re.compile(r"(?:[ \t]*\n)*".join(lines) + r"\s*")
