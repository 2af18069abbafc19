from __future__ import annotations

from typing import Any

import pytest

from adbench_harness.api import OptionError, StoreError, UnknownNameError
from adbench_harness.store.contenders import Contender, StoredRun, by_id_notes, contender, meetings, only_seed


def run(run_id: str, model: str = "pca", **changes: Any) -> StoredRun:
    plain: dict[str, Any] = {
        "variant": model,
        "options": "{}",
        "dataset": "head-ct",
        "fingerprint": "f",
        "protocol": "p",
        "fit_digest": "d",
        "unranked": None,
        "split": 0,
        "seed": 0,
        "created": "2026-01-01",
        "newest": True,
    }
    return StoredRun(run_id, model, **{**plain, **changes})


def of(*runs: StoredRun, by_id: bool = False) -> Contender:
    return Contender(runs[0].variant, runs, by_id)


STORED = [
    run("pca-1"),
    run("pca-2", seed=1),
    run("pca-old", newest=False),
    run("gan-1", "gan", unranked="transductive: so", variant="gan (bn=batch)"),
    run("gan-2", "gan"),
    run("kd-1", "kd", variant="kd (teacher=a)"),
    run("kd-2", "kd", variant="kd (teacher=b)"),
    run("odd-1", "odd", unranked="off protocol: epochs=1"),
]


def test_a_name_is_a_variant_else_a_model_else_the_beginning_of_a_run_id() -> None:
    assert [one.run_id for one in contender("pca", STORED).runs] == ["pca-1", "pca-2"]
    assert [one.run_id for one in contender("gan", STORED).runs] == ["gan-2"]
    assert contender("kd (teacher=b)", STORED).label == "kd (teacher=b)"
    assert contender("pca-o", STORED).by_id
    assert [one.run_id for one in contender("gan-1", STORED).runs] == ["gan-1"]


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("pcaa", UnknownNameError, "did you mean pca"),
        ("kd", UnknownNameError, "2 variants; name one: 'kd \\(teacher=a\\)', 'kd \\(teacher=b\\)'"),
        ("pca-", UnknownNameError, "3 runs begin with 'pca-'"),
        ("odd", OptionError, "not ranked \\(off protocol: epochs=1\\).*give run ids"),
        ("gan (bn=batch)", OptionError, "transductive"),
    ],
)
def test_a_name_that_means_nobody_or_several_is_refused(word: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        contender(word, STORED)


def test_a_variant_means_the_options_that_it_has_now() -> None:
    stored = [run("old", options="1", created="2025-01-01"), run("new", options="2")]
    assert [one.run_id for one in contender("pca", stored).runs] == ["new"]


def test_an_unranked_run_that_was_named_by_its_id_is_said() -> None:
    assert by_id_notes([contender("gan-1", STORED), contender("pca", STORED)]) == [
        "gan-1 is not ranked (transductive: so); it is compared because it was named by its id"
    ]


def test_contenders_meet_on_each_split_that_all_have() -> None:
    a = of(*(run(f"a{split}", "a", split=split) for split in (0, 1, 2)))
    b = of(*(run(f"b{split}{seed}", "b", split=split, seed=seed) for split in (1, 2, 3) for seed in (1, 0)))
    met = meetings([a, b])
    assert [meeting.split for meeting in met.found] == [1, 2]
    assert [[one.run_id for one in own] for own in met.found[0].runs] == [["a1"], ["b10", "b11"]]
    assert met.notes == ["head-ct: left out, as not all have a run of it: split 0, 3"]
    assert [meeting.split for meeting in meetings([a, b], split=2).found] == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fit_digest": "other"}, "fit digests differ.*a: d; b: other"),
        ({"fingerprint": "other"}, "fingerprints differ"),
        ({"protocol": "other"}, "different protocols"),
        ({"split": 1}, "no split in common.*splits: a: 0; b: 1"),
        ({"dataset": "mias"}, "head-ct: b has no run; mias: a has no run"),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        meetings([of(run("a1", "a")), of(run("b1", "b", **changes))])


def test_what_can_be_compared_is_and_the_rest_is_said() -> None:
    a = of(run("a1", "a"), run("a2", "a", dataset="mias"))
    b = of(run("b1", "b"), run("b2", "b", dataset="mias", fingerprint="other"))
    met = meetings([a, b])
    assert [meeting.setting.dataset for meeting in met.found] == ["head-ct"]
    assert "fingerprints differ" in met.notes[0]
    with pytest.raises(StoreError, match="fingerprints differ"):
        meetings([a, b], dataset="mias")


def test_of_two_protocols_one_must_be_chosen() -> None:
    pairs = [of(*(run(f"{m}{p}", m, protocol=p, fit_digest=p) for p in ("p", "q"))) for m in ("a", "b")]
    with pytest.raises(OptionError, match="under p and q; choose with --protocol"):
        meetings(pairs)
    assert meetings(pairs, protocol="q").found[0].setting.protocol == "q"


def test_of_two_states_of_the_files_the_newest_is_compared() -> None:
    pairs = [
        of(run(f"{m}-old", m, fingerprint="old", created="2025-01-01"), run(f"{m}-new", m, fingerprint="new")) for m in ("a", "b")
    ]
    met = meetings(pairs)
    assert met.found[0].setting.fingerprint == "new"
    assert "2 states" in met.notes[0]


def test_runs_by_id_of_different_datasets_are_refused_at_once() -> None:
    pair = [Contender("a1", [run("a1")], True), Contender("b1", [run("b1", dataset="mias")], True)]
    with pytest.raises(StoreError, match="different datasets \\(a1: head-ct; b1: mias\\)"):
        meetings(pair)


@pytest.mark.parametrize(
    ("words", "message"), [({"dataset": "headct"}, "did you mean head-ct"), ({"protocol": "z"}, "there is: p")]
)
def test_unknown_names_are_answered_with_what_there_is(words: dict[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        meetings([of(run("a1", "a")), of(run("b1", "b"))], **words)  # type: ignore[arg-type]


def test_nobody_is_compared_with_himself() -> None:
    with pytest.raises(OptionError, match="named twice"):
        meetings([of(run("a1", "a")), of(run("a1", "a"))])


def test_single_detectors_are_of_one_seed_where_there_is_one() -> None:
    a, b = [run("a0"), run("a2", seed=2)], [run("b1", seed=1), run("b2", seed=2)]
    assert [one.run_id for one in only_seed([a, b])] == ["a2", "b2"]
    assert [one.run_id for one in only_seed([a, b[:1]])] == ["a0", "b1"]
