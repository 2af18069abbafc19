"""Files of the site that are read by programs: what the pages show, and every score, in forms that stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from ..site import File, Site


@dataclass(frozen=True)
class Export:
    """A file with what a reader has to know of it."""

    file: File
    kind: str
    """Under which heading it is offered."""
    title: str
    """What is in it."""

    @property
    def name(self) -> str:
        """The file's own name, without its folders."""
        return self.file.path.removeprefix("data/")

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.file.content)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return sha256(self.file.content).hexdigest()


def exports(site: Site) -> Sequence[Export]:
    """Every export of a site with runs."""
    from . import bibliography, document, scores, sheets

    assert site.db is not None
    everything, boards = document.documents(site)
    return [
        Export(everything, "Everything", "All boards, models, datasets, runs and their figures with intervals"),
        Export(boards, "Everything", "The same without the runs: what is compared, and who can be told apart"),
        Export(document.schema(), "Everything", "JSON Schema of both"),
        Export(scores.scores(site.db), "Scores", "The score of every image in every run"),
        *(Export(file, "Tables", title) for file, title in sheets.sheets(site)),
        Export(bibliography.bibliography(site), "Citations", "BibTeX of adbench and of every dataset and model here"),
    ]
