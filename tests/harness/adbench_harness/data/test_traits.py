from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adbench_harness.api import Box, DataError, Sample
from adbench_harness.data import traits as module
from adbench_harness.data.decode import read_image
from adbench_harness.data.traits import FORMAT, ORIENTATIONS, measure, oriented
from adbench_harness.home import Home

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(NOISE).save(folder / "gray.png")
    rgb = np.stack([NOISE] * 3, axis=-1)
    Image.fromarray(rgb).save(folder / "rgb.png")
    Image.fromarray(np.concatenate([rgb, np.full((40, 60, 1), 255, dtype=np.uint8)], axis=-1)).save(folder / "rgba.png")
    return folder


def memo(home: Home) -> Path:
    (file,) = (home.root / "cache" / "traits").iterdir()
    return file


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded from now on."""
    decoded: list[str] = []

    def noted(path: Path, mode: str) -> Image.Image:
        decoded.append(path.name)
        return read_image(path, mode)

    monkeypatch.setattr(module, "read_image", noted)
    return decoded


def test_what_is_measured_on_a_picture(root: Path, home: Home, make_listing: Any) -> None:
    frame = np.zeros((100, 200), dtype=np.uint8)
    frame[:2], frame[-2:], frame[:, :2], frame[:, -2:] = 200, 200, 200, 200
    Image.fromarray(frame).save(root / "frame.bmp")
    listing = make_listing(root, [Sample("s", "frame.bmp", 0)])
    one = measure(listing, home)["s"]
    assert (one.width, one.height, one.file_width, one.file_height) == (200, 100, 200, 100)
    assert (one.mode, one.format, one.alpha, one.coloured) == ("L", "BMP", False, False)
    assert one.file_bytes == (root / "frame.bmp").stat().st_size
    assert one.sha256 == listing.hashes["frame.bmp"]
    assert one.border_brightness == 200
    assert one.brightness == pytest.approx(frame.mean())
    assert len(one.hashes) == 8 * 32
    assert len(one.thumbnail) == 32 * 32


def test_equal_pixels_have_one_digest_whatever_the_file_s_mode(root: Path, home: Home, make_listing: Any) -> None:
    found = measure(make_listing(root, [Sample(name, f"{name}.png", 0) for name in ("gray", "rgb", "rgba")]), home)
    assert len({one.pixels for one in found.values()}) == 1
    assert {name: (one.mode, one.alpha) for name, one in found.items()} == {
        "gray": ("L", False),
        "rgb": ("RGB", False),
        "rgba": ("RGBA", True),
    }


def test_the_same_bytes_in_another_shape_are_another_picture(root: Path, home: Home, make_listing: Any) -> None:
    Image.new("L", (20, 30), 7).save(root / "a.png")
    Image.new("L", (30, 20), 7).save(root / "b.png")
    found = measure(make_listing(root, [Sample("a", "a.png", 0), Sample("b", "b.png", 0)]), home)
    assert found["a"].pixels != found["b"].pixels


def test_a_file_with_several_crops_is_decoded_once(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = watched(monkeypatch)
    boxes = [Box(0, 0, 20, 20), Box(10, 5, 30, 25), None]
    found = measure(make_listing(root, [Sample(f"s{k}", "gray.png", 0, box=box) for k, box in enumerate(boxes)]), home)
    assert decoded == ["gray.png"]
    assert [found[f"s{k}"].width for k in range(3)] == [20, 20, 60]
    assert found["s1"].brightness == pytest.approx(NOISE[5:25, 10:30].mean())
    assert found["s1"].file_width == 60


def test_the_second_time_decodes_nothing_and_a_changed_file_only_itself(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [Sample(name, f"{name}.png", 0) for name in ("gray", "rgb", "rgba")]
    seen: list[tuple[int, int]] = []
    first = measure(make_listing(root, samples), home, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    decoded = watched(monkeypatch)
    assert measure(make_listing(root, samples), home) == first
    assert decoded == []
    Image.new("RGB", (9, 9), (1, 2, 3)).save(root / "rgb.png")
    again = measure(make_listing(root, samples), home)
    assert decoded == ["rgb.png"]
    assert again["rgb"].coloured
    assert again["gray"] == first["gray"]


@pytest.mark.parametrize("damage", [b"", b"no parquet"])
def test_a_damaged_memo_is_made_again(root: Path, home: Home, make_listing: Any, damage: bytes) -> None:
    listing = make_listing(root, [Sample("gray", "gray.png", 0)])
    first = measure(listing, home)
    memo(home).write_bytes(damage)
    assert measure(listing, home) == first
    assert memo(home).read_bytes()[:4] == b"PAR1"


def test_another_way_to_measure_has_a_memo_of_its_own(
    root: Path, home: Home, make_listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing(root, [Sample("gray", "gray.png", 0)])
    measure(listing, home)
    monkeypatch.setattr(module, "FORMAT", FORMAT + 1)
    measure(listing, home)
    assert len(list((home.root / "cache" / "traits").iterdir())) == 2


def test_a_home_that_can_t_be_written_costs_only_time(root: Path, home: Home, make_listing: Any) -> None:
    listing = make_listing(root, [Sample("gray", "gray.png", 0)])
    (home.root / "cache").mkdir(exist_ok=True, parents=True)
    (home.root / "cache" / "traits").write_text("a file where a folder should be")
    assert measure(listing, home)["gray"].width == 60


def test_corrupt_files_are_named_and_the_rest_is_kept(root: Path, home: Home, make_listing: Any) -> None:
    (root / "cut.png").write_bytes((root / "rgb.png").read_bytes()[:200])
    (root / "text.png").write_text("hello")
    samples = [Sample(name, f"{name}.png", 0) for name in ("cut", "gray", "text")]
    with pytest.raises(DataError, match=r"dataset made: 2 of 3 files can't be used: .*cut\.png.*text\.png: not an image"):
        measure(make_listing(root, samples), home)
    assert memo(home).exists()


def test_a_crop_outside_the_image_is_named(root: Path, home: Home, make_listing: Any) -> None:
    with pytest.raises(DataError, match=r"gray\.png: crop .* lies outside an image of 60 x 40"):
        measure(make_listing(root, [Sample("s", "gray.png", 0, box=Box(50, 0, 70, 20))]), home)


def test_orientations_are_what_their_names_say() -> None:
    square = np.arange(9, dtype=np.uint8).reshape(3, 3)
    by_name = dict(zip(ORIENTATIONS, oriented(square), strict=True))
    np.testing.assert_array_equal(by_name["as it is"], square)
    np.testing.assert_array_equal(by_name["turned left by 90 degrees"][0], [2, 5, 8])
    np.testing.assert_array_equal(by_name["turned right by 90 degrees"][0], [6, 3, 0])
    np.testing.assert_array_equal(by_name["turned by 180 degrees"][0], [8, 7, 6])
    np.testing.assert_array_equal(by_name["mirrored left to right"][0], [2, 1, 0])
    np.testing.assert_array_equal(by_name["mirrored top to bottom"][0], [6, 7, 8])
    np.testing.assert_array_equal(by_name["mirrored at the main diagonal"], square.T)
    np.testing.assert_array_equal(by_name["mirrored at the other diagonal"][0], [8, 5, 2])
