from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from adbench_harness.metrics.groups import Groups
from adbench_leaderboard.atlas.agreement import Calls, Estimate, cohen, cohen_of, cohen_values, fleiss, flips


def drawn(models: int, images: int) -> Calls:
    generator = np.random.default_rng(5)
    truth = generator.random(images)
    return (truth + generator.normal(0, 0.4, (models, images)) > 0.6).astype(float)


def pair(calls: Calls, groups: Groups | None, one: int, other: int) -> Estimate | None:
    """Cohen's kappa of one pair."""
    return cohen_of(calls, groups, [(one, other)])[0]


def test_cohen_is_sklearns_for_a_seed_each() -> None:
    calls = drawn(4, 60)
    found, values = cohen(calls, None), cohen_values(calls)
    for one in range(4):
        for other in range(one + 1, 4):
            estimate = pair(calls, None, one, other)
            assert estimate is not None
            assert estimate.value == pytest.approx(cohen_kappa_score(calls[one], calls[other]))
            assert (found.value[one, other], values[one, other]) == pytest.approx((estimate.value, estimate.value))
            assert (found.low[one, other], found.high[one, other]) == pytest.approx(estimate.interval)


def test_interval_of_cohen_is_that_of_fleiss_cohen_and_everitt() -> None:
    calls = drawn(2, 4000)
    table = np.array([[np.mean((calls[0] == a) & (calls[1] == b)) for b in (0, 1)] for a in (0, 1)])
    rows, columns = table.sum(1), table.sum(0)
    agreed, chance = np.trace(table), float(rows @ columns)
    kappa = (agreed - chance) / (1 - chance)
    # Their formula (1969), as textbooks print it.
    on = sum(table[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    off = (1 - kappa) ** 2 * sum(table[i, 1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in (0, 1))
    variance = (on + off - (kappa - chance * (1 - kappa)) ** 2) / ((1 - chance) ** 2 * 4000)
    estimate = pair(calls, None, 0, 1)
    assert estimate is not None
    assert estimate.interval is not None
    assert estimate.interval == pytest.approx((kappa - 1.96 * variance**0.5, kappa + 1.96 * variance**0.5), abs=2e-4)


def test_an_image_that_stands_twice_in_a_group_says_nothing_new() -> None:
    calls = drawn(2, 80)
    single = pair(calls, None, 0, 1)
    doubled = pair(np.repeat(calls, 2, axis=1), np.repeat(np.arange(80), 2), 0, 1)
    assert single is not None
    assert doubled is not None
    assert doubled.interval == pytest.approx(single.interval)


def test_agreement_with_seeds_is_that_of_a_seed_of_each() -> None:
    one, other = drawn(1, 40)[0], drawn(3, 40)[2]
    calls = np.stack([one, (one + other) / 2])
    estimate = pair(calls, None, 0, 1)
    # Observed and chance agreement are means over the two pairs of seeds, and so is agreement beyond chance before it is scaled.
    same = (1 + np.mean(one == other)) / 2
    p, q = calls.mean(1)
    chance = p * q + (1 - p) * (1 - q)
    assert estimate is not None
    assert estimate.value == pytest.approx((same - chance) / (1 - chance))


def test_kappa_is_not_defined_where_a_model_says_the_same_of_all() -> None:
    calls = np.stack([np.ones(10), drawn(1, 10)[0], np.ones(10)])
    assert cohen_of(calls, None, [(0, 1), (0, 2), (1, 2)]) == [None, None, None]
    assert np.isnan(cohen(calls, None).value).all()
    assert np.isnan(cohen_values(calls)[np.triu_indices(3, 1)]).all()
    assert fleiss(np.zeros((3, 10)), None) is None
    assert np.isnan(cohen(np.empty((2, 0)), None).value).all()
    assert cohen_of(np.empty((2, 0)), None, [(0, 1)]) == [None]
    assert fleiss(np.empty((3, 0)), None) is None


def test_models_that_always_agree_have_no_interval() -> None:
    calls = np.tile(drawn(1, 30), (3, 1))
    for estimate in (pair(calls, None, 0, 1), fleiss(calls, None)):
        assert estimate is not None
        assert estimate.value == pytest.approx(1)
        assert estimate.interval is None


def test_fleiss_is_the_textbooks() -> None:
    # Fleiss' formula, by hand: four images, three raters.
    calls = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], dtype=float)
    agreed, share = np.mean([1, 1 / 3, 1 / 3, 1]), 6 / 12
    chance = share**2 + (1 - share) ** 2
    estimate = fleiss(calls, None)
    assert estimate is not None
    assert estimate.value == pytest.approx((agreed - chance) / (1 - chance))
    assert estimate.interval is not None
    assert estimate.interval[0] < estimate.value < estimate.interval[1]


def test_flips_are_over_pairs_of_seeds() -> None:
    seeds = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
    estimate = flips(seeds, None)
    assert estimate is not None
    assert estimate.value == pytest.approx(2 / 3 / 4)  # the second image, in two of three pairs
    assert estimate.interval is not None
    assert 0 < estimate.interval[0] < estimate.value < estimate.interval[1] < 1
    assert flips(seeds[:1], None) is None


def test_no_flip_in_few_images_is_not_no_flip_at_all() -> None:
    estimate = flips(np.zeros((2, 20), dtype=bool), None)
    assert estimate is not None
    assert estimate.interval is not None
    assert estimate.interval[0] == 0
    assert 0.1 < estimate.interval[1] < 0.3
