"""Whether runs that are missing can be made on this machine."""

from __future__ import annotations

from .. import registry
from ..api import AdbenchError
from ..data.listing import folder
from ..data.record import read_record
from ..home import Home


def obstacle(dataset: str, home: Home) -> str | None:
    """Why no run on a dataset could be made here and compared with the study; None if one can be tried."""
    try:
        spec = registry.dataset(dataset).spec
        folder(spec, home)
        record = read_record(spec, home)
    except AdbenchError as error:  # not imported, or its plugin or record is broken
        return str(error)
    if record is not None and record.partial:
        return f"{dataset} is here as a partial copy, whose runs can't be compared with the study"
    return None
