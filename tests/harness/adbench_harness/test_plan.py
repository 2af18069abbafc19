from __future__ import annotations

import pytest

from adbench_harness.api import OptionError
from adbench_harness.data.listing import Listing
from adbench_harness.home import Home
from adbench_harness.plan import Plan, RunRequest, plan

LENGTHS = {
    "f-anogan": ["encoder_epochs", "gan_epochs"],
    "ganomaly": ["adversarial_epochs"],
    "multikd": ["distil_epochs"],
}


def asked(home: Home, model: str, **settings: str) -> Plan:
    return plan(RunRequest(model, "phantom", "esmaeili2023", settings=settings), home)


@pytest.mark.parametrize(("model", "option"), [(model, option) for model, options in LENGTHS.items() for option in options])
def test_another_length_of_training_is_off_protocol_whoever_is_told(home: Home, model: str, option: str) -> None:
    assert asked(home, model, **{option: "7"}).off_protocol == {option: "7"}
    assert asked(home, model, epochs="7").off_protocol == {"epochs": "7"}
    default = asked(home, model).options.model_dump()[option]
    assert asked(home, model, **{option: str(default)}).off_protocol == {}
    with pytest.raises(OptionError, match=f"epochs=7 is the length of every phase, so {option} would do nothing"):
        asked(home, model, **{option: "3"}, epochs="7")


@pytest.mark.parametrize(("model", "option"), [(model, option) for model, options in LENGTHS.items() for option in options])
def test_where_a_budget_says_how_long_an_option_that_would_do_nothing_is_refused(home: Home, model: str, option: str) -> None:
    with pytest.raises(
        OptionError, match=f"images_presented=7 is the length of training in esmaeili2023, so {option} would do nothing"
    ):
        asked(home, model, **{option: "3"}, images_presented="7")
    assert asked(home, model, images_presented="7").off_protocol == {"images_presented": "7"}
    with pytest.raises(OptionError, match=f"length of training in adbench-v1, so {option} would do nothing"):
        plan(RunRequest(model, "phantom", "adbench-v1", settings={option: "3"}), home)


def test_a_training_set_s_size_makes_another_run_with_the_same_test(home: Home) -> None:
    whole, some, same = (
        plan(RunRequest("pca", "phantom", "adbench-v1", seed=seed, settings=settings), home)
        for seed, settings in ((0, {}), (0, {"train_size": "30"}), (1, {"train_size": "30"}))
    )
    assert (len(whole.samples("train")), len(some.samples("train"))) == (152, 30)
    assert some.samples("train") == same.samples("train")
    for subset in ("held_out", "test"):
        assert some.samples(subset) == whole.samples(subset)
    assert some.cell.fit_digest != whole.cell.fit_digest
    assert some.off_protocol == {"train_size": "30"}
    with pytest.raises(OptionError, match="train_size=153: phantom has 152 training images in split 0 of adbench-v1"):
        plan(RunRequest("pca", "phantom", "adbench-v1", settings={"train_size": "153"}), home)


def test_comparing_images_is_heard_of_once(home: Home) -> None:
    heard: list[tuple[int, int]] = []
    for _ in range(2):
        plan(RunRequest("pca", "phantom", "adbench-v1"), home, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (360, 360)
    assert len(heard) == 360


def test_other_options_keep_a_run_on_protocol(home: Home) -> None:
    chosen = asked(home, "f-anogan", feature_weight="0.5")
    assert chosen.off_protocol == {}
    assert chosen.run_id != asked(home, "f-anogan").run_id


def test_runs_of_one_command_share_the_listing_of_their_dataset(home: Home) -> None:
    listings: dict[str, Listing] = {}
    first, second = (plan(RunRequest("pca", "phantom", "esmaeili2023", seed=seed), home, listings) for seed in (0, 1))
    assert first.listing is second.listing
    assert list(listings) == ["phantom"]
