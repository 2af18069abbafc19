"""Templates made into files: whatever a plugin or a file name says is text to them, never markup."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from adbench_harness.metrics.thresholds import TRIVIAL
from adbench_harness.status import MEANINGS

from . import cells, charts, names, wording
from .queries import ALL
from .site import File, Site
from .tables import by_protocol, dataset_key, sent


class _Compiled(BytecodeCache):
    """Templates that this process compiled before, for another site: a second's work."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType | None] = {}
        """By key and digest of the source."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in what is known."""
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._known[bucket.key, bucket.checksum] = bucket.code


COMPILED: Final = _Compiled()


@dataclass(frozen=True)
class Templates:
    """The templates of one site."""

    environment: Environment
    drawings: charts.Drawings

    @classmethod
    def of(cls, site: Site, drawings: charts.Drawings | None = None) -> Templates:
        """Templates that know a site's runs; figures are drawn in this process unless something else draws them."""
        drawings = drawings or charts.Drawings(0)
        environment = Environment(
            loader=PackageLoader("adbench_leaderboard"),
            autoescape=True,
            undefined=StrictUndefined,
            bytecode_cache=COMPILED,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        filters = (wording.rate, wording.count, wording.number, wording.duration, wording.moment, wording.plural, wording.plain)
        environment.filters.update(
            {
                function.__name__: function
                for function in (*filters, wording.facts, wording.lettering, charts.share, names.breakable)
            }
        )
        environment.globals.update(
            site=site,
            ALL=ALL,
            cells=cells,
            by_protocol=by_protocol,
            TRIVIAL=TRIVIAL,
            ENDS=wording.ENDS,
            chart=charts,
            draw=drawings.svg,
            dataset_key=dataset_key,
            dataset_page=names.dataset_page,
            dataset_sheet=names.dataset_sheet,
            model_page=site.model_page,
            model_key_page=site.model_pages.__getitem__,
            area_title=wording.area_title,
            board_anchor=names.board_anchor,
            rule_description=wording.rule_description,
            rule_title=wording.rule_title,
            run_page=names.run_page,
            sent=sent,
            status_meanings=MEANINGS,
            web_address=names.web_address,
        )
        return cls(environment, drawings)

    def page(self, template: str, path: str, **values: Any) -> File:
        """A page at a place of the site."""
        root = "../" * path.count("/")
        text = self.environment.get_template(template).render(root=root, path=path, **values)
        # A lone surrogate can't be written; a name may have one.
        return File(path, text.encode("utf-8", "backslashreplace"))


def _finalize(value: object) -> object:
    return names.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
