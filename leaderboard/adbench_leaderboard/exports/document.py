"""leaderboard.json: all that the site says in figures, for programs; boards.json: the same without the runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from adbench_harness.metrics.thresholds import TRIVIAL

from .. import names, wording
from ..queries import NO_RULE, Run
from ..site import File, Site
from ..tables import DatasetKey, ModelKey, Spread, dataset_key, model_key, newest
from ..views.overview import Overview, overviews
from ..views.standing import Place, Split

VERSION: Final = 1
"""Of the documents' form; it grows when something that was there is no longer, or means something else."""
MINOR: Final = 1
"""Grows when something comes that was not there, and begins again with a new version."""
PATH: Final = "data/leaderboard.json"
BOARDS: Final = "data/boards.json"
SCHEMA: Final = "leaderboard.schema.json"
FREE: Final = ("n_abnormal", "n_normal", *wording.AREAS)
"""Figures of a run that need no threshold."""
RULED: Final = ("threshold", "sensitivity", "specificity", "precision", "f1", "tp", "fn", "fp", "tn")
"""Figures of a run at a threshold."""

Json = Any


def documents(site: Site) -> tuple[File, File]:
    """The whole site as one document of the form that ``schema`` describes, and the document without its runs.

    Of fifty models most of the first is figures of single runs; who wants the comparison alone waits for an eighth of it.
    """
    found = overviews(site)
    ids = _ids(site)
    boards = {one.board.key: one.anchor for one in found}
    ranked = {run.run_id: boards[board.key] for board in site.boards for cell in board.cells.values() for run in cell.runs}
    document = {
        "$schema": SCHEMA,
        "schema_version": VERSION,
        "schema_minor": MINOR,
        "adbench": site.version,
        "newest_run": site.newest.created if site.newest else None,
        "rules": _rules(site),
        "datasets": [_dataset(site, key) for key in sorted({dataset_key(run) for run in site.runs})],
        "models": [_model(site, key, name) for key, name in ids.items()],
        "boards": [_board(one, ids) for one in found],
    }
    runs = [_run(run, ids[model_key(run)], ranked.get(run.run_id)) for run in site.runs]
    return _file(PATH, {**document, "runs": runs}), _file(BOARDS, document)


def _file(path: str, document: Mapping[str, Json]) -> File:
    # ASCII without "<", so that no word of a name can turn, break or begin anything, wherever the document is put.
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return File(path, f"{text}\n".encode("ascii"))


def schema() -> File:
    """JSON Schema of the documents."""
    return File(f"data/{SCHEMA}", (files("adbench_leaderboard") / "schema" / SCHEMA).read_bytes())


def _ids(site: Site) -> dict[ModelKey, str]:
    return {key: page.removeprefix("model/").removesuffix(".html") for key, page in site.model_pages.items()}


def _dataset(site: Site, key: DatasetKey) -> Json:
    card = newest(run for run in site.runs if dataset_key(run) == key)
    words = {name: card.text("dataset", name) for name in ("title", "modality", "organ", "licence", "citation", "source", "url")}
    return {"name": key.name, "fingerprint": key.fingerprint, **words, "page": names.dataset_page(key.name)}


def _model(site: Site, key: ModelKey, name: str) -> Json:
    card = newest(run for run in site.runs if model_key(run) == key)
    return {
        "id": name,
        "model": key.model,
        "variant": key.variant,
        "options": json.loads(key.options),
        **{field: card.text("model", field) for field in ("title", "family", "paper", "url")},
        "parameters": card.parameters,
        "plugin": {field: card.text("plugins", "model", field) for field in ("distribution", "version", "revision")},
        "page": site.model_pages[key],
    }


def _run(run: Run, model: str, board: str | None) -> Json:
    return {
        "run_id": run.run_id,
        "model": model,
        "dataset": run.dataset,
        "fingerprint": run.fingerprint,
        "protocol": run.protocol,
        "protocol_version": run.protocol_version,
        "fit_digest": run.fit_digest,
        "evaluation_digest": run.evaluation_digest,
        "board": board,
        "unranked": run.unranked,
        "status": run.status,
        "newest": run.newest,
        "split": run.split,
        "seed": run.seed,
        "created": run.created,
        "device": run.device,
        "seconds": _finite(run.seconds),
        "parameters": run.parameters,
        "page": names.run_page(run),
        "figures": {task: dict(_figures(run, task)) for task in run.tasks},
    }


def _figures(run: Run, task: str) -> Iterator[tuple[str, Json]]:
    rules = dict.fromkeys((*run.rules, TRIVIAL))
    for rule, wanted in ((NO_RULE, FREE), *((rule, RULED) for rule in rules)):
        found = {name: _figure(run, name, rule, task) for name in wanted if run.figure(name, rule, task) is not None}
        if found:
            yield rule, found


def _figure(run: Run, name: str, rule: str, task: str) -> Json:
    value, ends = run.figure(name, rule, task), run.interval(name, rule, task)
    return [_finite(value), _finite(ends[0]), _finite(ends[1])] if ends else [_finite(value)]


def _finite(value: float | None) -> float | str | None:
    """A number as JSON has it; infinite ones are words."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value.is_integer() and abs(value) < 2**53 and not isinstance(value, int) else value


def _board(one: Overview, ids: Mapping[ModelKey, str]) -> Json:
    key, card = one.board.key, one.board.newest
    return {
        "id": one.anchor,
        "protocol": key.name,
        "protocol_version": key.version,
        "fit_digest": key.fit_digest,
        "evaluation_digest": key.evaluation_digest,
        "title": card.text("protocol", "title"),
        "split_rule": card.text("protocol", "split_rule"),
        "newest_run": card.created,
        "rules": [_rule(rule, rule in one.oracles) for rule in one.rules],
        "tests": one.standing.tests,
        "cells": [
            _cell(one, model, dataset, ids[model])
            for model in one.board.models
            for dataset in one.board.datasets
            if one.cell(model, dataset)
        ],
        "baselines": [_baseline(one, dataset) for dataset in one.board.datasets],
        "standings": [
            _standing(dataset, split, split.number == one.board.splits[dataset], ids)
            for dataset in one.board.datasets
            for split in one.standing.splits[dataset]
        ],
    }


def _rules(site: Site) -> Json:
    """Every name that stands in the place of a rule, and whether its figures saw test labels."""
    return {
        NO_RULE: {"title": "no threshold", "description": "figures that need no threshold", "oracle": False},
        **{
            rule: {name: value for name, value in _rule(rule, rule in site.oracles).items() if name != "name"}
            for rule in sorted({TRIVIAL}.union(*(run.rules for run in site.runs)))
        },
    }


def _rule(rule: str, oracle: bool) -> Json:
    return {"name": rule, "title": wording.rule_title(rule), "description": wording.rule_description(rule), "oracle": oracle}


def _cell(one: Overview, model: ModelKey, dataset: DatasetKey, name: str) -> Json:
    place = one.place(model, dataset)
    return {
        "model": name,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": one.split(dataset).number,
        "runs": [run.run_id for run in one.board.cells[model, dataset].runs],
        "roc_auc": _spread(one.area(model, dataset)),
        "letters": place.letters if place else "",
        "ranks": list(place.ranks) if place else None,
        "rules": {
            rule: {figure: _spread(one.rate(model, dataset, figure, rule)) for figure in ("sensitivity", "specificity")}
            for rule in one.rules
        },
    }


def _baseline(one: Overview, dataset: DatasetKey) -> Json:
    cell = one.trivial(dataset)
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": one.split(dataset).number,
        "everything_abnormal": {figure: _spread(cell.spread(figure, TRIVIAL)) for figure in ("sensitivity", "specificity")},
        "random": {
            "roc_auc": _spread(cell.spread("random_roc_auc")),
            "rules": {
                rule: {figure: _spread(cell.spread(f"random_{figure}", rule)) for figure in ("sensitivity", "specificity")}
                for rule in one.rules
            },
        },
    }


def _spread(found: Spread | None) -> Json:
    if found is None:
        return None
    low, high = found.interval or (None, None)
    return {
        "value": found.mean,
        "low": low,
        "high": high,
        "lowest_run": found.low,
        "highest_run": found.high,
        "runs": found.count,
    }


def _standing(dataset: DatasetKey, split: Split, shown: bool, ids: Mapping[ModelKey, str]) -> Json:
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": split.number,
        "shown": shown,
        "abnormal": split.abnormal,
        "normal": split.normal,
        "groups": split.groups,
        "note": split.note,
        "models": [_place(place, ids[model]) for model, place in split.places.items()],
    }


def _place(place: Place, name: str) -> Json:
    return {
        "model": name,
        "roc_auc": place.area,
        "low": place.interval[0],
        "high": place.interval[1],
        "letters": place.letters,
        "ranks": list(place.ranks),
        "seeds": list(place.seeds),
        "runs": list(place.runs),
    }
