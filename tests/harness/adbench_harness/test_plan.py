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


def test_other_options_keep_a_run_on_protocol(home: Home) -> None:
    chosen = asked(home, "f-anogan", feature_weight="0.5")
    assert chosen.off_protocol == {}
    assert chosen.run_id != asked(home, "f-anogan").run_id


def test_runs_of_one_command_share_the_listing_of_their_dataset(home: Home) -> None:
    listings: dict[str, Listing] = {}
    first, second = (plan(RunRequest("pca", "phantom", "esmaeili2023", seed=seed), home, listings) for seed in (0, 1))
    assert first.listing is second.listing
    assert list(listings) == ["phantom"]
