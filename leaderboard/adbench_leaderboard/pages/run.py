"""A page a run: everything it keeps about itself."""

from __future__ import annotations

from collections.abc import Iterator

from .. import names, queries, wording
from ..site import File, Site
from ..templating import Templates


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every run."""
    if site.db is None:
        return
    for run in site.runs:
        yield templates.page(
            "run.html",
            names.run_page(run),
            run=run,
            curves=queries.curves(site.db, run.run_id),
            scores=queries.score_summaries(site.db, run.run_id),
            parts=queries.parts(site.db, run.run_id),
            areas=wording.AREAS,
            part_figures=wording.PART_FIGURES,
        )
