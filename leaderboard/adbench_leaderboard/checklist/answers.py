"""What the stored runs themselves answer to items of a reporting guideline: short lines, counted and never typed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from adbench_harness.metrics.thresholds import TRIVIAL

from .. import wording
from ..queries import Run
from ..site import Site
from ..tables import newest

Answer = Callable[[Site], Iterator[str]]
"""Lines that answer an item; none if the store says nothing of it."""

MOST: Final = 8
"""Lines of one answer; of more only the number is said."""


def lines(site: Site, fact: str) -> list[str]:
    """The answer of a fact. Raises KeyError for one that there is not."""
    found = list(dict.fromkeys(ANSWERS[fact](site)))
    return found if len(found) <= MOST else [*found[: MOST - 1], f"and {len(found) - MOST + 1} more"]


def _cards(site: Site) -> Iterator[tuple[str, Run]]:
    """Each dataset with the newest run that describes it."""
    for name in site.datasets:
        yield name, newest(run for run in site.runs if run.dataset == name)


def _protocols(site: Site) -> Iterator[tuple[str, Run]]:
    """Each protocol and version with the newest run that states its rules unchanged."""
    for name in site.protocols:
        runs = [run for run in site.runs if f"{run.protocol} version {run.protocol_version}" == name]
        yield name, newest([run for run in runs if not run.mapping("protocol", "overrides")] or runs)


def _datasets(site: Site) -> Iterator[str]:
    for name, card in _cards(site):
        yield f"{name}: {card.text('dataset', 'citation') or 'no citation stated'}"


def _copies(site: Site) -> Iterator[str]:
    partial = len(site.partial(site.runs))
    yield f"{wording.plural(len(site.runs), 'run')} here, {partial or 'none'} on partial copies"


def _preparation(site: Site) -> Iterator[str]:
    for name, card in _protocols(site):
        fit = card.mapping("protocol", "fit")
        size, words = fit.get("image_size"), [str(fit[part]) for part in ("resize", "resize_filter", "colour") if fit.get(part)]
        if size:
            yield f"{name}: {size} x {size} pixels, {', '.join(words)}"


def _splits(site: Site) -> Iterator[str]:
    for name, card in _protocols(site):
        numbers = sorted({run.split for run in site.runs if f"{run.protocol} version {run.protocol_version}" == name})
        yield f"{name}, {_numbers('split', numbers)} here. {card.text('protocol', 'split_rule')}"


def _groups(site: Site) -> Iterator[str]:
    for name, card in _cards(site):
        yield f"{name}: {card.text('dataset', 'group_rule') or 'what belongs to one patient is not stated'}"


def _models(site: Site) -> Iterator[str]:
    for key in site.model_pages:
        card = newest(run for run in site.runs if (run.variant, run.options, run.model) == key)
        yield f"{key.variant}: {card.text('model', 'family') or 'no family stated'}, {wording.count(card.parameters)} learnt values"


def _software(site: Site) -> Iterator[str]:
    sets = {tuple(sorted(run.mapping("environment").items())) for run in site.runs}
    if len(sets) > 1:
        yield f"{len(sets)} environments; that of the newest run:"
    for run in [newest(site.runs)]:
        yield ", ".join(f"{name} {version}" for name, version in run.mapping("environment").items())


def _seeds(site: Site) -> Iterator[str]:
    yield _numbers("seed", sorted({run.seed for run in site.runs}))
    for run in site.runs:
        for name, facts in run.mapping("model", "given").items():
            kind = facts.get("kind") if isinstance(facts, Mapping) else facts
            yield f"{run.variant} was given: {name}, {kind}"


def _training(site: Site) -> Iterator[str]:
    for name, card in _protocols(site):
        fit = card.mapping("protocol", "fit")
        presented, batch = fit.get("images_presented"), fit.get("batch_size")
        budget = f"{wording.count(presented)} images presented" if isinstance(presented, int) else "each model's published epochs"
        yield f"{name}: {budget}" + (f", batches of {batch}" if batch else "")
    yield f"on {', '.join(sorted({run.text('compute', 'device_name') or run.device for run in site.runs}))}"


def _metrics(site: Site) -> Iterator[str]:
    there = {name for run in site.runs for _, _, name in run.figures}
    yield ", ".join(title for name, title in wording.AREAS.items() if name in there)
    yield from _rules(site)


def _rules(site: Site) -> Iterator[str]:
    rules = dict.fromkeys(rule for run in site.runs for rule in run.rules if rule != TRIVIAL)
    for oracle, word in ((False, "honest"), (True, "oracle")):
        found = [wording.rule_title(rule) for rule in rules if (rule in site.oracles) == oracle]
        yield f"{word}: {', '.join(found) or 'none'}"


def _intervals(site: Site) -> Iterator[str]:
    assert site.db is not None
    made = "select distinct method from metric where low is not null and method != 'random scores' order by all"
    yield f"made by {', '.join(method for (method,) in site.db.execute(made).fetchall())}"
    with_one = sum(len(run.intervals) for run in site.runs)
    yield f"{wording.count(with_one)} figures with an interval"


def _spread(site: Site) -> Iterator[str]:
    cells = [cell for board in site.boards for cell in board.cells.values()]
    several = sum(len(cell.runs) > 1 for cell in cells)
    yield f"{several} of {wording.plural(len(cells), 'cell')} with several runs"


def _transfers(site: Site) -> Iterator[str]:
    number = sum(bool(run.text("cell", "trained_on")) for run in site.runs)
    yield f"{wording.plural(number, 'such run') if number else 'no such run'} here"


def _images(site: Site) -> Iterator[str]:
    for name, card in _cards(site):
        counts = card.mapping("dataset", "counts")
        yield f"{name}: " + ", ".join(f"{wording.plain(number)} {use.replace('_', ' ')}" for use, number in counts.items())


def _runs(site: Site) -> Iterator[str]:
    figures = sum(len(run.figures) for run in site.runs)
    yield f"{wording.plural(len(site.runs), 'run')}, {wording.count(figures)} figures, {len(site.datasets)} datasets"


def _findings(site: Site) -> Iterator[str]:
    assert site.db is not None
    asked = "select dataset, severity, count(*) from finding group by all order by dataset, severity"
    found: dict[str, list[str]] = {}
    for dataset, severity, number in site.db.execute(asked).fetchall():
        found.setdefault(dataset, []).append(f"{number} {severity}")
    for name in site.datasets:
        yield f"{name}: {', '.join(found[name])}" if name in found else f"{name}: no audit is stored, or it found nothing"


def _protocol_names(site: Site) -> Iterator[str]:
    for name, card in _protocols(site):
        yield f"{name}: fit digest {card.fit_digest}, evaluation digest {card.evaluation_digest}"


def _modalities(site: Site) -> Iterator[str]:
    for name, card in _cards(site):
        yield f"{name}: {card.text('dataset', 'modality') or 'modality not stated'}"


def _numbers(word: str, numbers: Iterable[int]) -> str:
    words = [str(number) for number in numbers]
    return f"{word} {words[0]}" if len(words) == 1 else f"{word}s {', '.join(words)}"


ANSWERS: Final[Mapping[str, Answer]] = {
    "copies": _copies,
    "datasets": _datasets,
    "findings": _findings,
    "groups": _groups,
    "images": _images,
    "intervals": _intervals,
    "metrics": _metrics,
    "modalities": _modalities,
    "models": _models,
    "preparation": _preparation,
    "protocols": _protocol_names,
    "rules": _rules,
    "runs": _runs,
    "seeds": _seeds,
    "software": _software,
    "splits": _splits,
    "spread": _spread,
    "training": _training,
    "transfers": _transfers,
}
"""By the names that ``items.toml`` asks for."""
