from __future__ import annotations

from collections.abc import Callable

from adbench_harness.home import Results
from adbench_harness.store.database import reading
from adbench_harness.store.ingest import ingest
from adbench_leaderboard import queries
from adbench_leaderboard.pages import dataset
from adbench_leaderboard.site import Site
from adbench_leaderboard.templating import Templates

OFF = "<b>off</b>"


def test_the_page_names_the_models_that_its_lists_do_not_go_by(results: Results, make_run: Callable[..., str]) -> None:
    make_run("pca-0")
    # Below every normal image lies an abnormal one: the best threshold is beyond all scores.
    make_run("off-0", model="off", variant=OFF, scores=(0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3))
    ingest(results)
    with reading(results.database) as db:
        site = Site(db, queries.runs(db), "0")
        page = next(iter(dataset.files(site, Templates.of(site)))).content.decode()
    assert "The lists do not go by <b>&lt;b&gt;off&lt;/b&gt;</b> (calls every test image " in page
    assert "by 1 of 2 models" in page
