"""Work on every file of a dataset, in parallel: what can't be decoded is collected, so that one error names the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final, Generic, TypeVar

from ..api import DataError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""
FAILURES_SHOWN: Final = 5
SHARES: Final = 100
"""A small set is divided into about so many shares, so that its progress is seen."""
LARGEST_SHARE: Final = 16


class EachFile(Generic[ItemT, ResultT]):
    """Results of ``work`` on each item, as they come; DataErrors are kept until ``refuse`` raises them as one."""

    def __init__(self, work: Callable[[ItemT], ResultT]) -> None:
        self._work = work
        self._failures: list[str] = []
        self._items = 0

    def __call__(self, items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Work on these items with a thread a core; decoding lets go of the interpreter's lock."""
        self._items += len(items)
        size = min(max(len(items) // SHARES, 1), LARGEST_SHARE)
        # Shares, since each future that ends wakes this thread, which holds up the others.
        shares = [items[start : start + size] for start in range(0, len(items), size)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            try:
                for future in as_completed([pool.submit(self._share, share) for share in shares]):
                    yield from future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _share(self, items: Sequence[ItemT]) -> list[ResultT]:
        results: list[ResultT] = []
        for item in items:
            try:
                results.append(self._work(item))
            except DataError as error:
                self._failures.append(str(error))
        return results

    def refuse(self, dataset: str) -> None:
        """Raise DataError, naming the first few files, if any failed."""
        if not self._failures:
            return
        shown = "; ".join(sorted(self._failures)[:FAILURES_SHOWN])
        count = len(self._failures)
        more = f"; and {count - FAILURES_SHOWN} more" if count > FAILURES_SHOWN else ""
        raise DataError(f"dataset {dataset}: {count} of {self._items} files can't be used: {shown}{more}")
