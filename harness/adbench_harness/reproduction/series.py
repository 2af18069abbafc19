"""Stored runs under the study's protocol, those of one kind together, and what sets each kind apart from the study's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..api import ProtocolSpec, StoreError
from ..manifest import Manifest
from ..metrics.delong import PairedAreas, paired_areas
from ..protocol import resolve
from ..published import Study
from ..status import HERE, MEANINGS, STATUSES, Status, rank_sql
from ..store.scored import scored_together, tasks_of

if TYPE_CHECKING:
    import duckdb

PROTOCOL: Final = "esmaeili2023"


@dataclass(frozen=True)
class Mark:
    """What must be known before a gap is read."""

    word: str
    """A few words, for a table."""
    text: str


@dataclass(frozen=True)
class Measured:
    """A figure of one run, with its interval over test images if it has one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SeedAreas:
    """ROC areas of several runs on the very same images, and how they vary together over draws of these."""

    runs: Sequence[str]
    """(R,) ids."""
    by_task: Mapping[str, PairedAreas]
    """Of R rows each, for tasks that have both classes."""


@dataclass(frozen=True)
class StoredRun:
    """A run of the protocol as the database has it."""

    run_id: str
    options: str
    fingerprint: str
    manifest: Manifest
    figures: Mapping[tuple[str, str, str], Measured]
    """By task, rule and name."""
    together: SeedAreas | None = None
    """Of the newest run of each seed that this one belongs with; None where there is one seed, or test images differ."""
    status: Status = HERE

    @property
    def of(self) -> tuple[str, str, str, str, str]:
        """Runs that agree in this differ by their seed alone."""
        cell = self.manifest.cell
        return cell.dataset, cell.model, self.options, self.fingerprint, cell.fit_digest


@dataclass(frozen=True)
class Series:
    """Runs that differ by their seed, the newest of each seed."""

    runs: tuple[StoredRun, ...]
    barred: tuple[Mark, ...]
    """Why they can't be compared with the study; empty if they can."""
    marks: tuple[Mark, ...]

    @property
    def manifest(self) -> Manifest:
        """Of one of them; all agree in what is asked of it here."""
        return self.runs[0].manifest

    @property
    def seeds(self) -> tuple[int, ...]:
        """Sorted."""
        return tuple(run.manifest.cell.seed for run in self.runs)

    @property
    def as_published(self) -> bool:
        """Whether they are what the study did, as far as it says: every option at its default, the images all there."""
        return not self.barred and self.manifest.variant == self.manifest.cell.model

    def measured(self, task: str, name: str, rule: str) -> list[Measured]:
        """A figure of every run that has it."""
        found = [run.figures.get((task, rule, name)) for run in self.runs]
        return [figure for figure in found if figure is not None]

    def areas(self, task: str) -> PairedAreas | None:
        """ROC areas of its runs, a row each, with their covariance over test images; None where that is not known."""
        together = self.runs[0].together
        if together is None or list(together.runs) != [run.run_id for run in self.runs]:
            return None
        return together.by_task.get(task)


def stored_runs(db: duckdb.DuckDBPyConnection) -> list[StoredRun]:
    """Every run under the study's protocol, the one that counts last (run here, then the newest), but those of detectors trained on another dataset.

    The study tested every detector on the dataset it was trained on. A run that was not, of the same cell but for that, would
    take the place of one that was.
    """
    native = "protocol = ? and (manifest->>'$.cell.trained_on') is null"
    figures: dict[str, dict[tuple[str, str, str], Measured]] = defaultdict(dict)
    for run_id, task, rule, name, value, low, high in db.execute(
        f"select run_id, task, rule, name, value, low, high from metric join run using (run_id) where {native}", [PROTOCOL]
    ).fetchall():
        figures[run_id][task, rule, name] = Measured(value, low, high)
    found = db.execute(
        f"select run_id, options, fingerprint, manifest, status from run where {native} order by {rank_sql('status')}, created, run_id",
        [PROTOCOL],
    ).fetchall()
    runs = [
        StoredRun(run_id, options, fingerprint, Manifest.model_validate_json(manifest), figures[run_id], status=status)
        for run_id, options, fingerprint, manifest, status in found
    ]
    together = {one: areas for seeds in _by_seed(runs) if (areas := _seed_areas(db, seeds)) for one in areas.runs}
    return [replace(run, together=together.get(run.run_id)) for run in runs]


def _by_seed(runs: Iterable[StoredRun]) -> list[tuple[StoredRun, ...]]:
    """Runs that differ by their seed together, sorted by it; of several of one seed the last."""
    together: dict[tuple[str, ...], dict[int, StoredRun]] = defaultdict(dict)
    for run in runs:
        together[run.of][run.manifest.cell.seed] = run
    return [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in together.values()]


def _seed_areas(db: duckdb.DuckDBPyConnection, runs: Sequence[StoredRun]) -> SeedAreas | None:
    if len(runs) < 2:
        return None
    ids = [run.run_id for run in runs]
    try:
        scored = scored_together(db, ids)
    except StoreError:  # other test images: what the areas have in common is not known
        return None
    of_tasks = {task: scored.of_task(subtypes) for task, subtypes in tasks_of(db, ids[0]).items()}
    return SeedAreas(
        ids, {task: paired_areas(one.labels, one.scores, one.codes) for task, one in of_tasks.items() if all(one.counts)}
    )


def series_of(runs: Iterable[StoredRun], protocol: ProtocolSpec, study: Study) -> list[Series]:
    """Runs that differ by their seed together; of several of one seed the newest counts, so ``runs`` are the newest last."""
    runs = list(runs)
    copies: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        copies[run.manifest.cell.dataset].add(run.fingerprint)
    digest = resolve(protocol, {}).fit_digest
    found = []
    for chosen in _by_seed(runs):
        several = len(copies[chosen[0].manifest.cell.dataset]) > 1
        found.append(Series(chosen, tuple(_bars(chosen[0], digest)), tuple(_marks(chosen, study, several))))
    return sorted(found, key=lambda one: (len(one.barred), one.manifest.variant != one.manifest.cell.model, one.manifest.variant))


def _bars(run: StoredRun, digest: str) -> Iterator[Mark]:
    """Why a run can't be compared with the study."""
    manifest = run.manifest
    overrides = manifest.protocol.get("overrides")
    if isinstance(overrides, Mapping) and overrides:
        yield Mark("off protocol", f"off protocol: {', '.join(f'{name}={value}' for name, value in overrides.items())}")
    elif manifest.cell.fit_digest != digest:
        yield Mark("other rules", f"made under other rules than {PROTOCOL} has now (fit digest {manifest.cell.fit_digest})")
    if partial := manifest.dataset.get("partial"):
        yield Mark("partial copy", f"partial copy of {manifest.cell.dataset}: {partial}")


def _marks(runs: Sequence[StoredRun], study: Study, several_copies: bool) -> Iterator[Mark]:
    """What sets runs apart from the study's although they can be compared."""
    manifest, model = runs[0].manifest, runs[0].manifest.cell.model
    if transductive := manifest.model.get("transductive"):
        public = f"; {study.testing[model]}" if model in study.testing else ""
        yield Mark(
            "transductive", f"{manifest.variant}: {transductive}, so a score depends on other test images; never ranked{public}"
        )
    strange = list(_strange_gifts(manifest, study))
    yield from strange
    if manifest.variant != model and not transductive and not strange:
        yield Mark("other options", f"{manifest.variant}: not the defaults of the public code")
    if several_copies:
        yield Mark(f"data {runs[0].fingerprint[:6]}", f"{manifest.cell.dataset} with the fingerprint {runs[0].fingerprint}")
    if sent := sorted({run.status for run in runs} - {HERE}, key=STATUSES.index):
        yield Mark(sent[0], f"{manifest.variant} on {manifest.cell.dataset}: {MEANINGS[sent[0]]}")
    revisions = {str(_revision(run.manifest)) for run in runs}
    if len(revisions) > 1:
        yield Mark(
            "several revisions", f"{manifest.variant} on {manifest.cell.dataset}: seeds of {len(revisions)} revisions of its code"
        )


def _revision(manifest: Manifest) -> object:
    """Which revision of the model's code made a run."""
    plugin = manifest.plugins.get("model")
    return plugin.get("revision") if isinstance(plugin, Mapping) else None


def _strange_gifts(manifest: Manifest, study: Study) -> Iterator[Mark]:
    """What a model was given from outside, if the study's was given something else."""
    given = manifest.model.get("given")
    for name, facts in given.items() if isinstance(given, Mapping) else ():
        if isinstance(facts, Mapping) and facts.get("as_in_the_study") is False:
            theirs = study.given.get(manifest.cell.model, {}).get(name, "another")
            what = ", ".join(str(facts[key]) for key in ("kind", "input") if facts.get(key))
            yield Mark(
                f"other {name}", f"{manifest.variant}: {name} {what}; the study's is {theirs}, so the gap may be the {name}'s"
            )
