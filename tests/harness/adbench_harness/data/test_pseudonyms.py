from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from adbench_harness.api import AdbenchError, DatasetSpec, Sample
from adbench_harness.data.listing import Listing, listing
from adbench_harness.data.pseudonyms import first_ids, pseudonymous, secret
from adbench_harness.home import Home

SAMPLES = [
    Sample("a", "a.bin", 0, group="DOE^JOHN"),
    Sample("b", "b.bin", 1, "spot", group="Müller^Jörg"),
    Sample("c", "c.bin", 1, "spot", group="DOE^JOHN"),
    Sample("d", "d.bin", 0),
]


def listed(root: Path, home: Home, samples: list[Sample], private: bool = True) -> Listing:
    for sample in samples:
        (root / sample.path).write_text(sample.path)
    spec = DatasetSpec("made", "", lambda _: samples, "", "", "", "", "", "", embedded=root, private_groups=private)
    return listing(spec, home)


def test_equal_groups_get_equal_hashes_and_no_group_stays_none(home: Home) -> None:
    groups = [sample.group for sample in pseudonymous(SAMPLES, home)]
    assert groups[0] == groups[2] != groups[1]
    assert groups[3] is None
    assert all(re.fullmatch("[0-9a-f]{16}", group) for group in groups if group is not None)
    assert [replace(s, group=None) for s in pseudonymous(SAMPLES, home)] == [replace(s, group=None) for s in SAMPLES]


def test_hashes_stay_in_a_home_and_differ_in_another(home: Home, tmp_path: Path) -> None:
    assert pseudonymous(SAMPLES, home) == pseudonymous(SAMPLES, home)
    assert pseudonymous(SAMPLES, home)[0].group != pseudonymous(SAMPLES, Home(tmp_path / "other"))[0].group


def test_the_secret_is_for_its_owner_only_and_nothing_else_is_left_of_it(home: Home) -> None:
    assert len(secret(home)) == 32
    assert (home.root / "secret").stat().st_mode & 0o777 == 0o600
    assert not list(home.root.glob(".secret*.tmp"))


def test_no_secret_is_made_where_nothing_is_to_be_hidden(home: Home) -> None:
    assert pseudonymous([SAMPLES[3]], home) == (SAMPLES[3],)
    assert not home.root.exists()


def test_all_who_start_at_once_agree_on_the_secret(home: Home) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: secret(home), range(64)))) == 1


def test_a_damaged_secret_is_named(home: Home) -> None:
    home.root.mkdir()
    (home.root / "secret").write_bytes(b"short")
    with pytest.raises(AdbenchError, match=r"home/secret is damaged: 5 bytes, not 32; bring it back .* or remove it"):
        secret(home)


def test_a_secret_that_cannot_be_read_is_named(home: Home) -> None:
    (home.root / "secret").mkdir(parents=True)
    with pytest.raises(AdbenchError, match=r"home/secret, with which patients are hidden, can't be made or read \(Is a dir"):
        secret(home)


def test_a_home_that_cannot_be_written_is_named(home: Home) -> None:
    home.root.write_text("a file where the home should be")
    with pytest.raises(AdbenchError, match=r"cannot make the home .*--home or ADBENCH_HOME"):
        secret(home)


def test_a_group_goes_by_its_lowest_id() -> None:
    assert first_ids(SAMPLES[::-1]) == {"DOE^JOHN": "a", "Müller^Jörg": "b"}


def test_private_groups_are_hidden_and_the_fingerprint_is_the_same_in_every_home(home: Home, tmp_path: Path) -> None:
    here = listed(tmp_path, home, SAMPLES)
    there = listed(tmp_path, Home(tmp_path / "other"), SAMPLES)
    assert "DOE" not in repr(here)
    assert here.samples != there.samples
    assert here.fingerprint == there.fingerprint
    regrouped = [*SAMPLES[:2], replace(SAMPLES[2], group="Müller^Jörg"), SAMPLES[3]]
    assert listed(tmp_path, home, regrouped).fingerprint != here.fingerprint


def test_groups_that_are_public_stay_as_they_are(home: Home, tmp_path: Path) -> None:
    found = listed(tmp_path, home, SAMPLES, private=False)
    assert found.samples == tuple(SAMPLES)
    assert not (home.root / "secret").exists()
