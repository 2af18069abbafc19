"""The atlas's data, a file a view, and its pictures: a new run changes the files of the views that it is in."""

from __future__ import annotations

from collections.abc import Iterator

from .. import names
from ..atlas.shard import shard
from ..site import File, Site
from ..templating import Templates


def files(site: Site, templates: Templates) -> Iterator[File]:
    """The data of every view, and the pictures that may be shown."""
    for atlas in site.atlases.values():
        for summary in atlas.summaries:
            yield File(summary.view.path, shard(summary, site.model_page, names.run_page, site.oracles))
        yield from (File(path, content) for path, content in atlas.pictures.items())
