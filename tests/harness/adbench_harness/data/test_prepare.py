from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adbench_harness.api import AdbenchError, Box, DataError, FitRules, Sample
from adbench_harness.data.images import DeviceImages
from adbench_harness.data.prepare import prepare
from adbench_harness.home import Home

RULES = FitRules(image_size=16)
SAMPLES = [Sample(f"s{k}", f"{k // 2}.png", 0, box=Box(k % 2 * 8, 0, k % 2 * 8 + 16, 16)) for k in range(8)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (24, 24), dtype=np.uint8)).save(folder / f"{k}.png")
    return folder


def entries(home: Home) -> list[str]:
    return sorted(path.name for path in home.prepared.iterdir())


def test_rows_hold_what_decoding_gives_whatever_order_was_asked_for(root: Path, home: Home, make_listing: Any) -> None:
    seen: list[tuple[int, int]] = []
    prepared = prepare(make_listing(root, SAMPLES), SAMPLES[::-1], RULES, home, lambda done, total: seen.append((done, total)))
    assert prepared.pixels.shape == (8, 16, 16, 3)
    expected = np.asarray(Image.open(root / "2.png"))[:16, 8:24]
    np.testing.assert_array_equal(prepared.pixels[prepared.rows["s5"], :, :, 0], expected)
    assert seen[-1] == (8, 8)


def test_the_second_time_decodes_nothing(root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = make_listing(root, SAMPLES)
    first = prepare(listing, SAMPLES, RULES, home)
    monkeypatch.setattr("adbench_harness.data.prepare.decode", lambda *_: pytest.fail("decoded again"))
    again = prepare(listing, SAMPLES, RULES, home)
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_a_changed_file_or_setting_makes_a_new_entry(root: Path, home: Home, make_listing: Any) -> None:
    prepare(make_listing(root, SAMPLES), SAMPLES, RULES, home)
    prepare(make_listing(root, SAMPLES), SAMPLES, FitRules(image_size=24), home)
    prepare(make_listing(root, SAMPLES), SAMPLES, FitRules(image_size=16, resize_filter="lanczos"), home)
    prepare(make_listing(root, SAMPLES), SAMPLES, FitRules(image_size=16, batch_size=4, epochs=3), home)  # decides no pixel
    assert len(entries(home)) == 3
    Image.new("L", (24, 24), 9).save(root / "3.png")
    fresh = prepare(make_listing(root, SAMPLES), SAMPLES, RULES, home)
    assert len(entries(home)) == 4
    assert (fresh.pixels[fresh.rows["s7"]] == 9).all()


def test_corrupt_images_are_named_and_leave_no_entry(root: Path, home: Home, make_listing: Any) -> None:
    (root / "1.png").write_bytes((root / "1.png").read_bytes()[:60])
    (root / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"dataset made: 2 of 4 files can't be used: .*1\.png: corrupt.*3\.png: not an image"):
        prepare(make_listing(root, SAMPLES), SAMPLES, RULES, home)
    assert entries(home) == []


def test_two_that_prepare_the_same_at_once_get_one_whole_entry(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing(root, SAMPLES)
    barrier = threading.Barrier(2)
    found: list[Any] = []

    def work() -> None:
        barrier.wait()
        found.append(prepare(listing, SAMPLES, RULES, home))

    # Two threads stand for two processes: each gets a temporary name of its own, as processes do.
    monkeypatch.setattr(os, "getpid", threading.get_ident)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(entries(home)) == 1
    np.testing.assert_array_equal(found[0].pixels, found[1].pixels)


def test_an_entry_left_half_made_is_made_again(root: Path, home: Home, make_listing: Any) -> None:
    listing = make_listing(root, SAMPLES)
    place = prepare(listing, SAMPLES, RULES, home).folder
    (place / "index.json").unlink()
    assert prepare(listing, SAMPLES, RULES, home).rows["s7"] == 7


@pytest.mark.parametrize(
    ("name", "content"), [("images.npy", b"\x93NUMPY"), ("index.json", b"[]"), ("index.json", b'{"ids": ["x"]}')]
)
def test_a_damaged_entry_is_made_again(root: Path, home: Home, make_listing: Any, name: str, content: bytes) -> None:
    listing = make_listing(root, SAMPLES)
    first = prepare(listing, SAMPLES, RULES, home)
    pixels = np.array(first.pixels)
    (first.folder / name).write_bytes(content)
    np.testing.assert_array_equal(prepare(listing, SAMPLES, RULES, home).pixels, pixels)


def test_a_full_disk_is_an_error_not_a_crash(root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DataError, match="No space left on device; free space or choose another --home"):
        prepare(make_listing(root, SAMPLES), SAMPLES, RULES, home)
    assert entries(home) == []


def test_an_unwritable_home_is_named(root: Path, tmp_path: Path, make_listing: Any) -> None:
    listing = make_listing(root, SAMPLES)
    (tmp_path / "file").write_text("")
    with pytest.raises(AdbenchError, match="cannot make the home's cache folder"):
        prepare(listing, SAMPLES, RULES, Home(tmp_path / "file"))


def test_device_images_are_floats_in_unit_range_in_the_asked_order(root: Path, home: Home, make_listing: Any) -> None:
    prepared = prepare(make_listing(root, SAMPLES), SAMPLES, RULES, home)
    images = DeviceImages(prepared, ["s7", "s0"], torch.device("cpu"), torch.float64)
    batch = images.batch(torch.tensor([1, 0]))
    assert (len(images), images.channels, batch.shape, batch.dtype) == (2, 3, (2, 3, 16, 16), torch.float64)
    np.testing.assert_allclose(batch[0].numpy().transpose(1, 2, 0) * 255, prepared.pixels[0], atol=1e-12)
    assert 0 <= float(batch.min()) <= float(batch.max()) <= 1
