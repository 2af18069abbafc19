"""What the originals of a dataset hold, and how a copy differs from each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..api import CountedFolder, DatasetSpec, Edition, ManifestEntry, is_litter


def lies_in_litter(path: str) -> bool:
    """Whether a file, or a folder it lies in, is none of the user's; the path is relative, with forward slashes."""
    return any(part != "." and is_litter(part) for part in path.split("/"))


@dataclass(frozen=True)
class Comparison:
    """A copy beside one edition, file by file; paths as the original has them, sorted."""

    edition: str
    present: tuple[str, ...]
    missing: tuple[str, ...]
    altered: tuple[str, ...]
    unexpected: tuple[str, ...]
    """Files in the original's folders that the original does not have."""
    miscounted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Folders that are known by their number of files only: found, expected."""
    left_out: int = 0
    """Missing files that no sample needs."""

    @property
    def matches(self) -> bool:
        """Whether the copy is this edition, whole and unaltered."""
        return self.differences == 0

    @property
    def differences(self) -> int:
        """Number of files, or counted folders, that differ."""
        return sum(map(len, self.by_kind.values())) + len(self.miscounted)

    @property
    def by_kind(self) -> Mapping[str, tuple[str, ...]]:
        """The files that differ, by how they do."""
        return {"missing": self.missing, "altered": self.altered, "unexpected": self.unexpected}

    def brief(self) -> str:
        """In words: how many files differ."""
        told = [f"{len(paths)} {word}" for word, paths in self.by_kind.items() if paths]
        if self.miscounted:
            told.append(f"another number of files in {len(self.miscounted)} folder{'s' * (len(self.miscounted) > 1)}")
        return ", ".join(told) or "no difference"

    def summary(self) -> str:
        """In words: how many files differ, and the first of each kind."""
        told = [f"{len(paths)} {word} ({_some(paths)})" for word, paths in self.by_kind.items() if paths]
        told += [f"{folder} holds {found} files instead of {wanted}" for folder, (found, wanted) in self.miscounted.items()]
        return " and ".join(told) or "no difference"


def _some(paths: tuple[str, ...], shown: int = 5) -> str:
    return ", ".join(paths[:shown]) + (", …" if len(paths) > shown else "")


class Original:
    """Every edition of a dataset together: which of its files a user's file is."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.editions = tuple(spec.editions)
        self._entries = {edition.name: tuple(edition.files()) for edition in self.editions}

    @cached_property
    def _paths(self) -> dict[str, str]:
        """Every known path by itself, and by its lower-case form where that is unambiguous."""
        exact = {entry.path: entry.path for entries in self._entries.values() for entry in entries}
        return {**_unambiguous(exact, str.lower), **exact}

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._paths.values())

    @cached_property
    def _tails(self) -> dict[str, str]:
        """Known paths by their last parts, two at least, where those are unambiguous: copies lack enclosing folders, too.

        A table of labels goes by its name alone, since some copies have it beside the images.
        """
        tails: dict[str, set[str]] = {}
        for path in self._known:
            parts = path.split("/")
            fewest = 1 if path.endswith(".csv") else 2
            for start in range(1, len(parts) - fewest + 1):
                tails.setdefault("/".join(parts[start:]), set()).add(path)
        return {tail: paths.pop() for tail, paths in tails.items() if len(paths) == 1}

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Folders of the original that hold files, counted or known one by one; not its top."""
        known = {_parent(path) for path in self._known}
        return frozenset((known | {f.path for edition in self.editions for f in edition.counted}) - {""})

    def place(self, found: str) -> str | None:
        """Where the original has a file, whatever folders enclose it in a copy; None for a file that is none of its.

        A file under a new name in one of the original's folders keeps its place there: it is unexpected, and told.
        """
        if found in self._known:
            return found
        parts = [part for part in found.split("/") if part not in ("", ".")]
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        for tail in tails:
            if path := self._paths.get(tail) or self._paths.get(tail.lower()):
                return path
            parent, _, name = tail.rpartition("/")
            for folder in (parent, parent.lower()):
                if name and folder in self._folders and not name.endswith(".csv"):
                    return f"{folder}/{name}"
        unrepeated = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if part != after]
        shorter = ["/".join(unrepeated[start:]) for start in range(len(unrepeated))]
        return next((path for tail in shorter if (path := self._paths.get(tail) or self._tails.get(tail))), None)

    def compare(self, hashes: Mapping[str, str]) -> list[Comparison]:
        """A copy beside each edition, the nearest first; ``hashes`` are SHA-256 by the path that ``place`` gave."""
        compared = [_compare(edition, self._entries[edition.name], hashes) for edition in self.editions]
        return sorted(compared, key=lambda comparison: comparison.differences)

    def is_optional(self, path: str) -> bool:
        """Whether no sample of any edition needs the file."""
        return all(_lies_in(path, edition.optional) for edition in self.editions)

    def is_right(self, path: str, sha256: str) -> bool:
        """Whether some edition has these bytes at this place."""
        return (path, sha256) in self._contents

    @cached_property
    def _contents(self) -> frozenset[tuple[str, str]]:
        return frozenset((entry.path, entry.sha256) for entries in self._entries.values() for entry in entries)

    @cached_property
    def known_bytes(self) -> int | None:
        """Size of the first edition's files; None if some of them are only counted."""
        first = self.editions[0]
        return None if first.counted else sum(entry.bytes for entry in self._entries[first.name])


def _unambiguous(paths: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    found = sorted(set(paths))
    times = Counter(key(path) for path in found)
    return {key(path): path for path in found if times[key(path)] == 1}


def _compare(edition: Edition, entries: tuple[ManifestEntry, ...], hashes: Mapping[str, str]) -> Comparison:
    wanted = {entry.path: entry.sha256 for entry in entries}
    counted = {folder.path: _known(folder) for folder in edition.counted}
    folders = {_parent(path) for path in wanted} - {""}
    missing = [path for path in wanted if path not in hashes]
    altered = [path for path, sha256 in wanted.items() if hashes.get(path, sha256) != sha256]
    unexpected: list[str] = []
    tally: Counter[str] = Counter()
    for path, sha256 in hashes.items():
        if path in wanted:
            continue
        parent = _parent(path)
        if parent in counted:
            tally[parent] += 1
            if (known := counted[parent]) is not None and (_name(path), sha256) not in known:
                altered.append(path)
        elif parent in folders or not _lies_in(path, edition.optional):
            unexpected.append(path)
    wrong = {*altered, *unexpected}
    return Comparison(
        edition=edition.name,
        present=tuple(sorted(path for path in hashes if path not in wrong)),
        missing=tuple(sorted(path for path in missing if not _lies_in(path, edition.optional))),
        altered=tuple(sorted(path for path in altered if not _lies_in(path, edition.optional))),
        unexpected=tuple(sorted(path for path in unexpected if not _lies_in(path, edition.optional))),
        miscounted=_miscounted(edition, tally),
        left_out=sum(_lies_in(path, edition.optional) for path in missing),
    )


def _miscounted(edition: Edition, tally: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    found = {folder.path: (tally.get(folder.path, 0), folder.files) for folder in edition.counted}
    return {
        path: (there, wanted)
        for path, (there, wanted) in found.items()
        if there != wanted and not (there == 0 and _lies_in(path, edition.optional))
    }


def _known(folder: CountedFolder) -> frozenset[tuple[str, str]] | None:
    """Name and SHA-256 of the files that a counted folder holds some of; None where no file is known."""
    if folder.among is None:
        return None
    return frozenset((_name(entry.path), entry.sha256) for entry in folder.among())


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _lies_in(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
