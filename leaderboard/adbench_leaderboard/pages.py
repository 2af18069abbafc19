"""The pages of the site: each is a query and a template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adbench_harness.metrics.thresholds import RULES, TRIVIAL

from . import charts, names, queries, wording
from .queries import ALL, Run
from .tables import Board, ModelKey, boards, dataset_key, model_key, newest


@dataclass(frozen=True)
class Page:
    """A finished file of the site."""

    path: str
    """Relative to the site's root, with forward slashes."""
    text: str


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    runs: Sequence[Run]
    version: str
    """Of the adbench that renders."""

    @cached_property
    def boards(self) -> list[Board]:
        """On-protocol comparisons."""
        return boards(self.runs)

    @cached_property
    def newest(self) -> Run | None:
        """The run that was made last."""
        return newest(self.runs) if self.runs else None

    @cached_property
    def protocols(self) -> list[str]:
        """Protocols with runs, with their versions."""
        return sorted({f"{run.protocol} version {run.protocol_version}" for run in self.runs})

    @cached_property
    def oracles(self) -> frozenset[str]:
        """Rules that see test labels, as stored with the runs or known to this adbench."""
        return frozenset(name for name, rule in RULES.items() if rule.oracle).union(*(run.oracles for run in self.runs))

    def unranked(self, runs: Sequence[Run]) -> list[Run]:
        """Those of the runs that are compared with nothing, though their data is the original."""
        return [run for run in runs if run.unranked is not None and not run.is_partial]

    def partial(self, runs: Sequence[Run]) -> list[Run]:
        """Those of the runs that were made on a partial copy of their dataset."""
        return [run for run in runs if run.is_partial]


def pages(db: duckdb.DuckDBPyConnection | None, version: str) -> Iterator[Page]:
    """Every page of the site; without a database, the page that says how to make a run."""
    site = Site(queries.runs(db) if db else [], version)
    environment = _environment(site)
    yield _index(environment, site)
    if db is None:
        return
    for name in sorted({run.dataset for run in site.runs}):
        yield _dataset(environment, site, name)
    for model, path in names.model_pages(site.runs).items():
        yield _model(environment, site, model, path)
    for run in site.runs:
        yield _run(environment, db, run)


def _index(environment: Environment, site: Site) -> Page:
    return _page(
        environment, "index.html", "index.html", root="", unranked=site.unranked(site.runs), partial=site.partial(site.runs)
    )


def _dataset(environment: Environment, site: Site, name: str) -> Page:
    runs = [run for run in site.runs if run.dataset == name]
    return _page(
        environment,
        "dataset.html",
        names.dataset_page(name),
        name=name,
        card=newest(runs),
        states=sorted({dataset_key(run) for run in runs}),
        boards=[board for board in site.boards if board.on(name)],
        runs=runs,
        unranked=site.unranked(runs),
        partial=site.partial(runs),
    )


def _model(environment: Environment, site: Site, model: ModelKey, path: str) -> Page:
    runs = [run for run in site.runs if model_key(run) == model]
    return _page(
        environment,
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


def _run(environment: Environment, db: duckdb.DuckDBPyConnection, run: Run) -> Page:
    return _page(
        environment,
        "run.html",
        names.run_page(run),
        run=run,
        curves=queries.curves(db, run.run_id),
        scores=queries.score_summaries(db, run.run_id),
        parts=queries.parts(db, run.run_id),
        areas=wording.AREAS,
        part_figures=wording.PART_FIGURES,
    )


def _page(environment: Environment, template: str, path: str, root: str = "../", **values: Any) -> Page:
    return Page(path, environment.get_template(template).render(root=root, **values))


def _environment(site: Site) -> Environment:
    environment = Environment(
        loader=PackageLoader("adbench_leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (wording.rate, wording.count, wording.number, wording.duration, wording.moment, wording.plural, wording.plain)
    environment.filters.update({function.__name__: function for function in (*filters, wording.facts, charts.share)})
    models = names.model_pages(site.runs)
    environment.globals.update(
        site=site,
        ALL=ALL,
        TRIVIAL=TRIVIAL,
        chart=charts,
        dataset_key=dataset_key,
        dataset_page=names.dataset_page,
        model_page=lambda run: models[model_key(run)],
        model_key_page=models.__getitem__,
        area_title=wording.area_title,
        rule_description=wording.rule_description,
        rule_title=wording.rule_title,
        run_page=names.run_page,
        web_address=names.web_address,
    )
    return environment


def _finalize(value: object) -> object:
    return names.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
