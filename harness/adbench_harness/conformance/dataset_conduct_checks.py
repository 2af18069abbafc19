"""What a dataset does beside listing its samples: files, output, processes, the network and global states."""

from __future__ import annotations

from typing import Final

from .checks import BrokenRuleError, Checks, NotApplicableError, Seen
from .dataset_subject import DatasetSubject
from .watch import Watch

CONDUCT: Final = Checks[DatasetSubject]()


@CONDUCT.add("writes", "lists its samples without writing anything", needs="lists")
def _writes(subject: DatasetSubject) -> Seen:
    written = sorted(set(_watch(subject).written))
    if written:
        more = f" and {len(written) - 1} more" if len(written) > 1 else ""
        raise BrokenRuleError(f"it wrote {written[0]}{more}; its files are as its package or an import has put them there")
    return Seen("nothing written")


@CONDUCT.add("global-state", "leaves global random generators and settings alone", needs="lists")
def _global_state(subject: DatasetSubject) -> Seen:
    changed = [*_watch(subject).changed, *(f"torch's generator ({caller})" for caller in _watch(subject).seeded)]
    if changed:
        raise BrokenRuleError(f"it changes {', '.join(changed)}; a listing draws nothing, and settings are the user's")
    return Seen("as they were")


@CONDUCT.add("processes", "starts no process", needs="lists")
def _processes(subject: DatasetSubject) -> Seen:
    watch = _watch(subject)
    if watch.started or watch.children:
        raise BrokenRuleError(
            f"it starts {max(len(watch.started), len(watch.children))} process(es) to list its samples; what these do is not seen"
        )
    return Seen("none")


@CONDUCT.add("network", "needs no network", needs="lists")
def _network(subject: DatasetSubject) -> Seen:
    reached = list(dict.fromkeys(_watch(subject).reached))
    if reached:
        raise BrokenRuleError(
            f"it reaches for {reached[0]} to list its samples; what has to be downloaded stands in `downloads`, and is fetched when the "
            "user asks for it"
        )
    return Seen("none")


@CONDUCT.add("output", "prints nothing to stdout", needs="lists")
def _output(subject: DatasetSubject) -> Seen:
    printed = _watch(subject).printed.strip()
    if printed:
        raise BrokenRuleError(f"it prints {printed.splitlines()[0][:80]!r}; stdout is for the command's own answer, use stderr")
    return Seen("silent")


def _watch(subject: DatasetSubject) -> Watch:
    if subject.watch is None:
        raise NotApplicableError("the listing was not watched")
    return subject.watch
