from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from adbench_harness import locating
from adbench_harness.api import (
    Box,
    DataError,
    DatasetSpec,
    FitContext,
    FittedDetector,
    Images,
    InterruptedRunError,
    Sample,
    TrainingError,
    Transductive,
)
from adbench_harness.data.listing import Listing
from adbench_harness.home import Home, Results
from adbench_harness.locating import Masked, choose, locate, read_masks
from adbench_harness.manifest import Pixels
from adbench_harness.metrics.pixels import aupro
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import read_manifest
from adbench_harness.runner import Conditions, run_one

CPU = torch.device("cpu")
SIZE = 16
MASKED = """
import csv
from pathlib import Path
from adbench_harness.api import DatasetSpec, Sample, hookimpl
adbench_api = 1
ROOT = Path("ROOT")
def samples(root):
    return [Sample(f"{n:02}", f"{n:02}.png", int(n >= 40), "spot" if n >= 40 else "normal",
                   mask=f"mask-{n}.png" if n >= 40 else None) for n in range(60)]
@hookimpl
def register_datasets(register):
    register(DatasetSpec("masked", "Masked", samples, "synthetic", "none", "none", "CC0", "drawn", "none", embedded=ROOT))
"""
DRAWS = """
import torch
from adbench_harness.api import FittedDetector, ModelSpec, hookimpl
adbench_api = 1
class Drawing(FittedDetector):
    def __init__(self, options, context): self.mean = torch.zeros(1)
    def fit(self, images, context): self.mean = images.batch(torch.arange(len(images))).mean(dim=0)
    def score(self, images): return (images - self.mean).square().mean(dim=(1, 2, 3))
    def state(self): return {"mean": self.mean}
    def load(self, state): self.mean = state["mean"]
    def anomaly_map(self, images): return MAP
@hookimpl
def register_models(register):
    register(ModelSpec("draws", "Draws", Drawing, "p", "f", "a", "b", "c", revision=1))
"""
SQUARES = "(images - self.mean).square().mean(dim=1)"


class Brightness(FittedDetector):
    """Its map is the image."""

    def fit(self, images: Images, context: FitContext) -> None: ...

    def score(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None: ...

    def anomaly_map(self, images: Tensor) -> Tensor | None:
        return images.mean(dim=1)


class Blind(Brightness):
    def anomaly_map(self, images: Tensor) -> Tensor | None:
        return None


class OfTheBatch(Brightness):
    @property
    def transductive(self) -> Transductive:
        return Transductive(2, "batch statistics")


class Given:
    """Images as an array (N, H, W)."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = torch.from_numpy(pixels)[:, None]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def scene(root: Path, number: int) -> np.ndarray:
    """A noisy image with a bright spot if it is one of the last twenty, whose mask is written too."""
    random = np.random.default_rng(number)
    pixels = random.integers(90, 130, (SIZE, SIZE))
    if number >= 40:
        row, column = random.integers(1, SIZE - 5, 2)
        pixels[row : row + 4, column : column + 4] += 30
        mask = np.zeros((SIZE, SIZE))
        mask[row : row + 4, column : column + 4] = 255
        save(root / f"mask-{number}.png", mask)
    save(root / f"{number:02}.png", pixels)
    return pixels


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    """Thirty images and their masks; the last one's is missing."""
    samples = [Sample(f"n{n}", f"{n:02}.png", 0, group=f"g{n // 2}") for n in range(10)]
    samples += [Sample(f"a{n}", f"{n:02}.png", 1, "spot", f"g{n}", mask=f"mask-{n}.png") for n in range(40, 50)]
    for number in (*range(10), *range(40, 50)):
        scene(tmp_path, number)
    spec = DatasetSpec("made", "Made", lambda _: [], "m", "o", "c", "l", "s", "g")
    return Listing(spec, tmp_path, (*samples[:-1], replace(samples[-1], mask=None)), {})


def pixels(listing: Listing, masked: Masked) -> np.ndarray:
    return np.stack([np.asarray(Image.open(listing.root / sample.path)) / 255 for sample in masked.samples])


def test_normal_images_and_those_with_a_mask_are_looked_at(listing: Listing) -> None:
    masked = choose("made", 0, listing.samples, SIZE)
    assert masked is not None
    assert [sample.id for sample in masked.samples] == sorted(sample.id for sample in listing.samples if sample.id != "a49")
    assert masked.left_out == 1
    assert choose("made", 0, [replace(sample, mask=None) for sample in listing.samples], SIZE) is None


def test_of_many_images_the_same_ones_are_looked_at_whatever_their_order(
    listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "MOST_PIXELS", 6 * SIZE**2)
    masked = choose("made", 0, listing.samples, SIZE)
    assert masked is not None
    assert masked == choose("made", 0, listing.samples[::-1], SIZE)
    assert [sample.label for sample in masked.samples] == [1] * 3 + [0] * 3
    assert masked.left_out == 14
    assert masked != choose("made", 1, listing.samples, SIZE)


def test_figures_are_those_of_the_maps_and_the_masks(listing: Listing) -> None:
    masked = choose("made", 0, listing.samples, SIZE)
    assert masked is not None
    heard: list[tuple[int, int]] = []
    found = locate(Brightness(), Given(pixels(listing, masked)), masked, listing, 8, CPU, 0, lambda *at: heard.append(at))
    assert found is not None
    masks = read_masks(listing, masked.samples, SIZE)
    assert found.aupro.value == pytest.approx(aupro(pixels(listing, masked), masks))
    assert 0.9 < found.pixel_roc_auc.value < 1
    assert (found.pixel_roc_auc.random, found.aupro.random) == (0.5, 0.15)
    assert found.pixel_roc_auc.method == "Obuchowski, logit"
    assert (found.normal, found.abnormal, found.left_out, found.regions) == (10, 9, 1, 9)
    assert (found.inside, found.outside) == (9 * 16, 19 * SIZE**2 - 9 * 16)
    assert heard == [(8, 19), (16, 19), (19, 19)]
    save(listing.root / "mask-40.png", np.eye(SIZE) * 255)
    again = locate(Brightness(), Given(pixels(listing, masked)), masked, listing, 8, CPU, 0)
    assert again is not None
    assert again.masks != found.masks


@pytest.mark.parametrize("detector", [Blind(), OfTheBatch()], ids=["no map", "a map that depends on the batch"])
def test_without_maps_there_are_no_figures(listing: Listing, detector: FittedDetector) -> None:
    masked = choose("made", 0, listing.samples, SIZE)
    assert masked is not None
    assert locate(detector, Given(pixels(listing, masked)), masked, listing, 8, CPU, 0) is None


def test_masks_at_another_size_and_of_a_crop(listing: Listing) -> None:
    marked = np.zeros((40, 20))
    marked[:10, :10] = 1  # any value but 0
    marked[39, 19] = 255
    save(listing.root / "mask-40.png", marked)
    sample = next(sample for sample in listing.samples if sample.id == "a40")
    half = read_masks(listing, [sample, listing.samples[0]], 4)
    assert half[0].tolist() == [[True, True, False, False], *[[False] * 4] * 3]  # a dot that fills no half of a pixel is lost
    assert not half[1].any()
    cut = read_masks(listing, [replace(sample, box=Box(10, 30, 20, 40))], 2)
    assert cut[0].tolist() == [[False, False], [False, True]]  # unless there is nothing else


def test_masks_that_can_not_be_used_are_named(listing: Listing) -> None:
    save(listing.root / "mask-40.png", np.zeros((SIZE, SIZE)))
    (listing.root / "mask-41.png").write_bytes(b"no image")
    with pytest.raises(DataError) as found:
        read_masks(listing, [sample for sample in listing.samples if sample.mask], SIZE)
    assert "dataset made: 2 of 9 files can't be used" in str(found.value)
    assert "mask-40.png: a mask that marks nothing of a40" in str(found.value)
    assert "mask-41.png: not an image" in str(found.value)


# --- as a part of a run ---


@pytest.fixture
def make(tmp_path: Path, tiny: Path, fake_distribution: Any, home: Home, results: Results) -> Callable[..., Any]:
    """Makes a run of a third party's detector, whose map is given, on a dataset with masks."""
    root = tmp_path / "masked"
    root.mkdir()
    for number in range(60):
        scene(root, number)

    def made(drawn: str = SQUARES, **changes: Any) -> Any:
        modules = {"masked_set": MASKED.replace('ROOT")', f'{root}")'), "draws_model": DRAWS.replace("MAP", drawn)}
        groups = {"adbench.models": {"draws": "draws_model"}, "adbench.datasets": {"masked": "masked_set"}}
        fake_distribution("masked-and-draws", "1", modules, groups)
        request = RunRequest("draws", "masked", "tiny-protocol", device="cpu")
        return run_one(plan(request, home), replace(Conditions(home, results), **changes))

    return made


def test_a_run_keeps_how_well_its_maps_point(make: Callable[..., Any]) -> None:
    outcome = make()
    found = read_manifest(outcome.folder).pixels
    assert isinstance(found, Pixels)
    assert (found.normal, found.abnormal, found.image_size) == (20, 20, 32)
    assert found.aupro.value > 0.5
    assert found.aupro.low is not None
    assert outcome.warnings == ()
    assert "locate" in outcome.manifest.timings


def test_a_detector_without_maps_has_no_such_figures(make: Callable[..., Any]) -> None:
    outcome = make("None")
    assert outcome.manifest.pixels is None
    assert outcome.warnings == ()
    assert "locate" not in outcome.manifest.timings


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ("images", "the detector's anomaly map must be a tensor of shape (8, 32, 32), and is (8, 1, 32, 32)"),
        ("1 / 0", "model masked-and-draws:draws failed while its anomaly maps were compared with masks: ZeroDivisionError"),
    ],
)
def test_maps_that_can_not_be_used_cost_no_run(make: Callable[..., Any], drawn: str, message: str) -> None:
    outcome = make(drawn)
    assert outcome.manifest.pixels is None
    assert "is stored without figures over pixels: " in outcome.warnings[0]
    assert message in outcome.warnings[0]


def test_a_stop_is_heard_while_maps_are_made(make: Callable[..., Any]) -> None:
    stages: list[str] = []
    with pytest.raises(InterruptedRunError, match="stopped during locate"):
        make(listen=lambda moment: stages.append(moment.phase), stop=lambda: "locate" in stages)


def test_a_map_of_nonsense_is_refused(listing: Listing) -> None:
    masked = choose("made", 0, listing.samples, SIZE)
    assert masked is not None
    images = Given(np.full((len(masked.samples), SIZE, SIZE), np.nan))
    with pytest.raises(TrainingError, match="anomaly map has 2048 values that are not finite"):
        locate(Brightness(), images, masked, listing, 8, CPU, 0)
