"""A page a dataset: what it is, and how each model does on it."""

from __future__ import annotations

from collections.abc import Iterator

from .. import names
from ..site import File, Site
from ..tables import dataset_key, newest
from ..templating import Templates


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The page of every dataset that has runs."""
    for name in site.datasets:
        runs = [run for run in site.runs if run.dataset == name]
        yield templates.page(
            "dataset.html",
            names.dataset_page(name),
            name=name,
            card=newest(runs),
            states=sorted({dataset_key(run) for run in runs}),
            boards=[board for board in site.boards if board.on(name)],
            runs=runs,
            unranked=site.unranked(runs),
            partial=site.partial(runs),
            atlas=site.atlases.get(name),
        )
