from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adbench_harness import registry
from adbench_harness.api import DataError, EvaluationRules, FitRules, OptionError, ProtocolSpec, Sample, Subset, hash_order, units
from adbench_harness.protocol import digest, resolve, split

SAMPLES = [Sample(f"n{k}", f"n{k}.png", 0) for k in range(4)] + [Sample("a", "a.png", 1, "x")]


def spec(assigned: dict[str, Subset] | None = None) -> ProtocolSpec:
    chosen = assigned or {"n0": "train", "n1": "test", "a": "test"}

    def assign(dataset: str, samples: Sequence[Sample], number: int) -> dict[str, Subset]:
        return chosen

    return ProtocolSpec("p", 1, "", "", FitRules(), EvaluationRules(thresholds=("youden",)), "rule", assign)


def test_digests_change_with_what_they_cover_and_with_nothing_else() -> None:
    base = resolve(spec(), {})
    assert base.fit_digest == resolve(replace(spec(), title="another title"), {}).fit_digest
    assert base.fit_digest != resolve(spec(), {"batch_size": "16"}).fit_digest
    assert base.fit_digest != resolve(replace(spec(), split_rule="another"), {}).fit_digest
    assert base.fit_digest != resolve(replace(spec(), split_counts={"d": (1, 2)}), {}).fit_digest
    more = resolve(replace(spec(), evaluation=EvaluationRules(thresholds=("youden", "best-f1"))), {})
    assert more.fit_digest == base.fit_digest
    assert more.evaluation_digest != base.evaluation_digest


def test_the_study_s_protocol_is_frozen() -> None:
    """Stored runs are compared by these; whoever changes one on purpose raises the protocol's version."""
    resolved = resolve(registry.protocol("esmaeili2023").spec, {})
    assert (resolved.fit_digest, resolved.evaluation_digest) == ("a0fc1fedc4e47b46", "c9ed74b7e43683ab")


def test_an_override_makes_a_run_off_protocol_and_its_own_value_does_not() -> None:
    assert resolve(spec(), {}).on_protocol
    assert resolve(spec(), {"batch_size": "32"}).on_protocol
    changed = resolve(spec(), {"epochs": "2"})
    assert not changed.on_protocol
    assert changed.overrides == {"epochs": "2"}


@pytest.mark.parametrize(("name", "value"), [("epochs", "0"), ("epochs", "x"), ("image_size", "8"), ("colour", "blue")])
def test_a_refused_field_is_named(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"protocol field {name}={value}"):
        resolve(spec(), {name: value})


def test_a_split_must_leave_something_to_train_on_and_to_test() -> None:
    assert split(spec(), "d", SAMPLES, 0)["n0"] == "train"
    with pytest.raises(OptionError, match="has no split 1; it has 0"):
        split(spec(), "d", SAMPLES, 1)
    with pytest.raises(DataError, match="leaves no train image of d"):
        split(spec({"n0": "test"}), "d", SAMPLES, 0)
    with pytest.raises(DataError, match="would train on abnormal samples of d: a"):
        split(spec({"a": "train", "n0": "test"}), "d", SAMPLES, 0)


def test_order_and_digest_are_the_same_on_every_platform() -> None:
    assert hash_order(["a", "b", "c", "d"], "esmaeili2023", 0) == ["d", "c", "a", "b"]
    assert digest(["x", 1, None, {"b": 1.5, "a": "ü"}]) == digest(["x", 1, None, {"a": "ü", "b": 1.5}])


def test_a_field_that_came_later_is_part_of_the_digest_only_where_it_is_set() -> None:
    base = resolve(spec(), {})
    digests = {resolve(spec(), {name: "40"}).fit_digest for name in ("images_presented", "train_size")}
    assert len({base.fit_digest, *digests}) == 3
    old = replace(spec(), fit=FitRules(images_presented=40))
    assert resolve(old, {}).fit_digest in digests
    assert resolve(old, {"images_presented": "40"}).on_protocol


def grouped(count: int) -> tuple[ProtocolSpec, list[Sample]]:
    """Training images in groups of three, and one test image of each kind."""
    samples = [Sample(f"n{k:02}", "x.png", 0, group=f"p{k // 3}") for k in range(count)]
    assigned: dict[str, Subset] = {sample.id: "train" for sample in samples}
    return spec({**assigned, "t": "test", "a": "test"}), [*samples, Sample("t", "t.png", 0), Sample("a", "a.png", 1, "x")]


def test_training_sets_of_a_learning_curve_are_nested_and_keep_groups_whole_while_they_fit() -> None:
    rules, samples = grouped(30)
    kept: set[str] = set()
    for size in range(1, 31):
        subsets = split(rules, "d", samples, 0, size)
        train = {sample for sample, subset in subsets.items() if subset == "train"}
        assert (len(train), train > kept) == (size, True)
        assert {subsets["t"], subsets["a"]} == {"test"}
        touched = {sample.group for sample in samples if sample.id in train}
        assert len(touched) == -(-size // 3)
        kept = train
    assert split(rules, "d", samples[::-1], 0, 10) == split(rules, "d", samples, 0, 10)


def test_a_learning_curve_ends_at_what_there_is() -> None:
    rules, samples = grouped(6)
    assert split(rules, "d", samples, 0, 6) == split(rules, "d", samples, 0)
    with pytest.raises(OptionError, match="train_size=7: d has 6 training images in split 0 of p"):
        split(rules, "d", samples, 0, 7)
    with pytest.raises(OptionError, match="protocol field train_size=0"):
        resolve(rules, {"train_size": "0"})


def test_units_join_by_group_and_by_cluster_through_others() -> None:
    samples = [
        Sample("d", "x", 0, group="p", cluster="same"),
        Sample("c", "x", 1, group="q", cluster="same"),
        Sample("b", "x", 0, group="q"),
        Sample("e", "x", 0, group="same"),  # a group and a cluster of one name are two things
        Sample("a", "x", 0),
    ]
    assert units(samples) == [("a",), ("b", "c", "d"), ("e",)]
    assert units([]) == []
