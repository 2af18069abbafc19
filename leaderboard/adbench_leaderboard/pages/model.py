"""A page a model: what it is, and how it does on each dataset."""

from __future__ import annotations

from collections.abc import Iterator

from ..site import File, Site
from ..tables import model_key, newest
from ..templating import Templates


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every model, with its options, that has runs."""
    for model, path in site.model_pages.items():
        runs = [run for run in site.runs if model_key(run) == model]
        yield templates.page(
            "model.html",
            path,
            model=model,
            card=newest(runs),
            boards=[board for board in site.boards if model in board.models],
            runs=runs,
            unranked=site.unranked(runs),
            partial=site.partial(runs),
            stages=list(dict.fromkeys(stage for run in runs for stage in run.mapping("timings"))),
        )
