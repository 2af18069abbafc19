from __future__ import annotations

import itertools
import os
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench_harness import registry
from adbench_harness.api import Sample, Subset, units
from adbench_harness.data.duplicates import samples_to_split
from adbench_harness.data.listing import listing
from adbench_harness.home import Home
from adbench_harness.metrics.thresholds import RULES
from adbench_harness.protocol import digest, resolve, split
from adbench_harness.protocols.adbench_v1 import assign, first_with_total, held_out_total, reachable, test_total

REPOSITORY = Path(__file__).parents[4]
SPEC = registry.protocol("adbench-v1").spec
test_total.__test__ = False  # type: ignore[attr-defined]  # a rule, not a test

unhurried = settings(deadline=None)
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=12)


def made_sample(number: int, code: int, official: bool) -> Sample:
    """A sample of which everything is told by one number below 1000: one draw each, so that many can be drawn."""
    label, group, cluster, part = code % 4, code // 4 % 16, code // 64 % 8, code // 512
    return Sample(
        f"s{number:02}",
        "x.png",
        int(label == 3),
        group=f"g{group}" if group < 12 else None,
        cluster=f"c{cluster}" if cluster < 2 else None,
        official_split=("test" if part else "train") if official else None,
    )


datasets = st.builds(
    lambda codes, official: [made_sample(number, code, official) for number, code in enumerate(codes)],
    st.lists(st.integers(0, 1000), min_size=2, max_size=60),
    st.booleans(),
)


def normals(count: int, group: int = 1, first: int = 0) -> list[Sample]:
    """Normal samples in groups of so many."""
    return [Sample(f"n{k:04}", "x.png", 0, group=f"p{k // group}") for k in range(first, first + count)]


def counts(samples: Sequence[Sample], chosen: Mapping[str, Subset]) -> tuple[int, int, int, int]:
    """Training, held-out, normal test and abnormal test images."""
    labels = {sample.id: sample.label for sample in samples}
    tally = Counter((subset, labels[sample]) for sample, subset in chosen.items())
    return tally["train", 0], tally["held_out", 0], tally["test", 0], tally["test", 1]


@unhurried
@given(datasets, st.integers(0, 4))
def test_no_unit_is_on_two_sides_and_no_abnormal_image_is_learnt_from(samples: list[Sample], number: int) -> None:
    chosen = assign("made", samples, number)
    by_id = {sample.id: sample for sample in samples}
    for unit in units(samples):
        assert len({chosen[member] for member in unit if member in chosen}) <= 1
    assert all(subset == "test" for sample, subset in chosen.items() if by_id[sample].label == 1)


@unhurried
@given(datasets, st.integers(0, 4))
def test_what_is_left_out_is_told_by_the_official_split(samples: list[Sample], number: int) -> None:
    chosen = assign("made", samples, number)
    official = all(sample.official_split for sample in samples if sample.label == 0)
    if not official:
        assert set(chosen) == {sample.id for sample in samples}
        return
    parts = {sample.id: sample.official_split for sample in samples}
    tested = {sample for sample, part in parts.items() if part == "test"}
    assert {sample for sample, subset in chosen.items() if subset == "test"} == tested
    overlapping = {member for unit in units(samples) if tested & set(unit) for member in unit} - tested
    abnormal = {sample.id for sample in samples if sample.label == 1 and sample.official_split != "test"}
    assert set(parts) - set(chosen) == overlapping | abnormal


@unhurried
@given(datasets, st.integers(0, 4))
def test_enough_is_held_out_whenever_that_leaves_a_training_image(samples: list[Sample], number: int) -> None:
    chosen = assign("made", samples, number)
    pool = [sum(chosen.get(member) in ("train", "held_out") for member in unit) for unit in units(samples)]
    train, held_out, _, _ = counts(samples, chosen)
    wanted = max(-(-sum(pool) // 5), 20)
    possible = [total for total in totals(pool) if wanted <= total < sum(pool)]
    if possible:
        assert held_out == min(possible)
    else:
        assert held_out == max(total for total in totals(pool) if 2 * total <= sum(pool))
    assert train >= (sum(pool) > 0)


@unhurried
@given(datasets, st.integers(0, 4), st.randoms(use_true_random=False))
def test_neither_the_order_of_the_listing_nor_names_of_groups_decide(samples: list[Sample], number: int, random: object) -> None:
    chosen = assign("made", samples, number)
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renamed = [
        replace(s, group=s.group and f"{digest(s.group)}", cluster=s.cluster and f"{digest(['c', s.cluster])}") for s in shuffled
    ]
    assert assign("made", renamed, number) == chosen


def totals(chosen: Sequence[int]) -> set[int]:
    """By trying all sets, or one by one where they are many."""
    found = {0}
    for size in chosen:
        found |= {total + size for total in found}
    return found


@unhurried
@given(sizes)
def test_reachable_totals_are_those_of_all_sets(chosen: list[int]) -> None:
    assert {total for total in range(sum(chosen) + 1) if reachable(chosen) >> total & 1} == totals(chosen)


@unhurried
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.data())
def test_of_the_sets_with_a_total_the_first_is_taken(chosen: list[int], data: st.DataObject) -> None:
    total = data.draw(st.sampled_from(sorted(totals(chosen))))
    places = range(len(chosen))
    every = [s for n in range(len(chosen) + 1) for s in itertools.combinations(places, n) if sum(chosen[k] for k in s) == total]
    assert tuple(first_with_total(chosen, total)) == min(every, key=lambda s: tuple(k not in s for k in places))


@pytest.mark.parametrize(
    ("units_of", "test", "held_out"),
    [
        ([1] * 100, 20, 20),
        ([1] * 98, 20, 20),  # 19.6
        ([1] * 12, 2, 6),  # 2.4; too few to hold out 20
        ([1] * 13, 3, 6),  # 2.6
        ([2] * 53, 20, 22),  # 21.2: 20 is nearest from below; 106 / 5 = 21.2: 22 is the first from above
        ([50, 50], 50, 50),  # 20 can't be reached from below but by none
        ([7], 0, 0),  # nothing else would be left
        ([1] * 21, 4, 20),
        ([1] * 20, 4, 10),
        ([1], 0, 0),
        ([], 0, 0),
    ],
)
def test_how_many(units_of: list[int], test: int, held_out: int) -> None:
    assert (test_total(units_of), held_out_total(units_of)) == (test, held_out)


def test_a_patient_with_an_abnormal_image_is_test_as_a_whole() -> None:
    samples = [*normals(100), Sample("a1", "x", 1, "spot", group="p3"), Sample("a2", "x", 1, "spot")]
    chosen = assign("made", samples, 0)
    assert chosen["n0003"] == "test"
    assert counts(samples, chosen) == (59, 20, 1 + 20, 2)


def test_equal_pictures_join_patients() -> None:
    twins = [replace(sample, cluster="same") if sample.id in ("n0000", "n0099") else sample for sample in normals(100, 10)]
    for number in range(5):
        chosen = assign("made", twins, number)
        assert len({chosen[f"n{k:04}"] for k in (*range(10), *range(90, 100))}) == 1


def test_an_official_split_is_kept_and_its_overlap_is_removed() -> None:
    samples = [
        *(replace(sample, official_split="train") for sample in normals(100)),
        *(replace(sample, official_split="test") for sample in normals(10, first=100)),
        Sample("a1", "x", 1, "cnv", group="p1", official_split="train"),
        Sample("a2", "x", 1, "cnv", group="p2", official_split="test"),
    ]
    chosen = assign("made", samples, 0)
    assert "a1" not in chosen  # official training, abnormal: not used, and its patient's normal image stays
    assert chosen["n0001"] in ("train", "held_out")
    assert "n0002" not in chosen
    assert counts(samples, chosen) == (79, 20, 10, 1)


def test_splits_differ_and_each_is_drawn_anew() -> None:
    chosen = [assign("made", normals(200), number) for number in range(SPEC.splits)]
    tests = [frozenset(sample for sample, subset in one.items() if subset == "test") for one in chosen]
    assert len(set(tests)) == 5


def test_tiny_sets_do_not_crash() -> None:
    for count in range(1, 45):
        for group in (1, 2, 7):
            samples = [*normals(count, group), Sample("a", "x", 1, "spot")]
            assert counts(samples, assign("made", samples, 0))[0] >= 1


def test_the_protocol_is_frozen() -> None:
    """Stored runs are compared by this; whoever changes it on purpose raises the protocol's version."""
    resolved = resolve(SPEC, {})
    assert resolved.fit_digest == FIT_DIGEST
    assert set(SPEC.evaluation.thresholds) <= set(RULES)


FIT_DIGEST = "cdd9c102bbdb0ce6"

# As docs/protocol.md prints them: training, held-out, normal test, abnormal test images, and a digest of each split.
PUBLISHED: dict[str, tuple[tuple[int, int, int, int], tuple[str, ...]]] = {
    "phantom": (
        (152, 40, 48, 120),
        ("18243c843ee8c377", "779a4b6749ae5b3d", "b3c873ba36d1e235", "8e4eef94a87c21d8", "a477da6a9f08f64b"),
    ),
    "head-ct": (
        (60, 20, 20, 100),
        ("b5329a21cf8ddd51", "07a225fcafaafa95", "df4f580144718438", "c733edecb877c5fc", "607ff30aa4fc0285"),
    ),
    "brain-tumor-mri": (
        (58, 20, 20, 155),
        ("c3301f0aef159d6c", "2f2cbbfb41c806c1", "2f95c994911f4c33", "8159d95ffee10b0e", "3560f2c7543b054f"),
    ),
    "mias": (
        (66, 20, 121, 115),
        ("425658f0caa086b0", "6bcf4756d8481936", "d0bddcc244c4b502", "bfd9d911a14a5af2", "e44663f709ece263"),
    ),
    "mias-patches": (
        (68, 20, 119, 119),
        ("369d82d35b018201", "6d83fd5ab51293bc", "0eca83d289e5625f", "f8f6b5d41bcbd912", "e826f8c62812e1ad"),
    ),
}


def check_published(dataset: str, samples: Sequence[Sample]) -> None:
    """Each split has the counts and the digest that the documentation prints."""
    expected, digests = PUBLISHED[dataset]
    chosen = [split(SPEC, dataset, samples, number) for number in range(SPEC.splits)]
    assert {counts(samples, one) for one in chosen} == {expected}
    assert tuple(digest(sorted(one.items())) for one in chosen) == digests


def test_the_phantom_s_splits_are_the_published_ones(home: Home) -> None:
    found = listing(registry.dataset("phantom").spec, home)
    check_published("phantom", samples_to_split(found, home, SPEC))


@pytest.mark.parametrize("dataset", ["head-ct", "brain-tumor-mri"])
def test_real_splits_are_the_published_ones(dataset: str, home: Home) -> None:
    found = listing(replace(registry.dataset(dataset).spec, embedded=real_data(dataset)), home)
    check_published(dataset, samples_to_split(found, home, SPEC))


@pytest.mark.parametrize("dataset", ["mias", "mias-patches"])
def test_real_mias_splits_are_the_published_ones(dataset: str, tmp_path: Path) -> None:
    """From the real list of films alone, beside empty files; no two films are equal, and unpacking them would take long."""
    with tarfile.open(real_data("all-mias.tar.bz2"), "r|bz2") as archive:
        info = next(archive.extractfile(member) for member in archive if Path(member.name).name == "Info.txt")
        assert info is not None
        (tmp_path / "Info.txt").write_bytes(info.read())
    for film in range(1, 323):
        (tmp_path / f"mdb{film:03}.pgm").touch()
    check_published(dataset, registry.dataset(dataset).spec.samples(tmp_path))


def test_the_documentation_prints_these() -> None:
    lines = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8").splitlines()
    for dataset, (expected, digests) in PUBLISHED.items():
        assert f"| `{dataset}` | {' | '.join(map(str, expected))} | {' '.join(f'`{d}`' for d in digests)} |" in lines
    assert any(f"`{FIT_DIGEST}`" in line for line in lines)


def real_data(name: str) -> Path:
    """A folder of real data, or the test is skipped."""
    stated = os.environ.get("ADBENCH_TEST_DATA")
    folder = Path(stated) if stated else REPOSITORY.parent / "shared" / "data"
    if not (folder / name).exists():
        pytest.skip(f"no {name} in {folder}; set ADBENCH_TEST_DATA to its folder")
    return folder / name
