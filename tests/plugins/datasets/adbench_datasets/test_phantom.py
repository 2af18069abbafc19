"""The phantom dataset is complete, as it was drawn, and has no shortcut from the image to the label."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from adbench_datasets import phantom
from adbench_harness.api import DataError, DatasetSpec, Sample, file_sha256

Pixels = npt.NDArray[np.uint8]
SCRIPTS = Path(__file__).parents[4] / "scripts"


def registered() -> DatasetSpec:
    specs: list[DatasetSpec] = []
    phantom.register_datasets(specs.append)
    (spec,) = specs
    return spec


def read(path: str) -> Pixels:
    with Image.open(phantom.FOLDER / path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return registered()


@pytest.fixture(scope="module")
def samples(spec: DatasetSpec) -> list[Sample]:
    assert spec.embedded is not None
    return list(spec.samples(spec.embedded))


@pytest.fixture(scope="module")
def images(samples: list[Sample]) -> Pixels:
    return np.stack([read(sample.path) for sample in samples])


@pytest.fixture(scope="module")
def make_phantom() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        module_spec = importlib.util.spec_from_file_location("make_phantom", SCRIPTS / "make_phantom.py")
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        patch.setitem(sys.modules, "make_phantom", module)  # dataclasses look their module up
        module_spec.loader.exec_module(module)
        yield module


def test_counts_are_as_expected(spec: DatasetSpec, samples: list[Sample]) -> None:
    assert Counter(sample.subtype for sample in samples) == spec.expected


def test_ids_are_unique(samples: list[Sample]) -> None:
    assert len({sample.id for sample in samples}) == len(samples)


def test_tasks_name_each_kind_of_lesion(spec: DatasetSpec) -> None:
    assert {kind for kinds in spec.tasks.values() for kind in kinds} == set(spec.expected) - {"normal"}


def test_every_file_is_what_the_edition_says(spec: DatasetSpec) -> None:
    (edition,) = spec.editions
    entries = edition.files()
    assert {entry.path for entry in entries} == {
        path.relative_to(phantom.FOLDER).as_posix() for path in phantom.FOLDER.rglob("*.png")
    }
    for entry in entries:
        path = phantom.FOLDER / entry.path
        assert (file_sha256(path), path.stat().st_size) == (entry.sha256, entry.bytes), entry.path


def test_images_have_one_size_and_mode_and_no_metadata(samples: list[Sample]) -> None:
    forms = set()
    for sample in samples:
        with Image.open(phantom.FOLDER / sample.path) as image:
            forms.add((image.size, image.mode, image.format, len(image.info)))
    assert forms == {((128, 128), "L", "PNG", 0)}


def test_abnormal_slices_and_only_they_have_masks(samples: list[Sample]) -> None:
    assert all((sample.mask is not None) == (sample.label == 1) == (sample.subtype != "normal") for sample in samples)


def test_masks_lie_in_the_head_and_have_the_stated_area(samples: list[Sample]) -> None:
    for sample in samples:
        if sample.mask is not None:
            mask = read(sample.mask)
            assert mask.shape == (128, 128)
            assert set(np.unique(mask)) == {0, 255}
            assert (mask > 0).sum() == sample.attributes["area"]
            assert (mask > 0).sum() >= 6
            assert read(sample.path)[mask > 0].mean() > 40


def test_patients_are_normal_or_abnormal_with_one_kind_of_lesion(samples: list[Sample]) -> None:
    kinds: dict[str | None, set[str]] = {}
    for sample in samples:
        kinds.setdefault(sample.group, set()).add(sample.subtype)
    assert None not in kinds
    assert len(kinds) == 100
    assert all(len(found) == 1 for found in kinds.values())


def test_attributes_have_their_types(samples: list[Sample]) -> None:
    lesion = next(sample for sample in samples if sample.label)
    types = {name: type(value) for name, value in lesion.attributes.items()}
    assert types == {"level": int, "area": int, "diameter": float, "size": str, "contrast": float, "contrast_class": str}
    assert set(next(sample for sample in samples if not sample.label).attributes) == {"level"}


def test_every_kind_comes_in_every_contrast_class(samples: list[Sample]) -> None:
    found = Counter((sample.subtype, sample.attributes["contrast_class"]) for sample in samples if sample.label)
    assert len(found) == 4 * 3
    assert min(found.values()) >= 6


FEATURES: dict[str, Callable[[Pixels], npt.NDArray[np.float64]]] = {
    "mean": lambda images: images.mean(axis=(1, 2)),
    "deviation": lambda images: images.std(axis=(1, 2)),
    "brightest": lambda images: images.max(axis=(1, 2)).astype(np.float64),
    "head area": lambda images: (images > 30).mean(axis=(1, 2)),
    "noise": lambda images: np.abs(np.diff(images.astype(np.float64), n=2, axis=2)).mean(axis=(1, 2)),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_a_trivial_feature_does_not_tell_normal_from_abnormal(feature: str, samples: list[Sample], images: Pixels) -> None:
    auc = roc_auc_score([sample.label for sample in samples], FEATURES[feature](images))
    assert 0.35 < auc < 0.65


@pytest.mark.parametrize("kind", phantom.KINDS)
def test_mean_brightness_does_not_tell_one_kind_either(kind: str, samples: list[Sample], images: Pixels) -> None:
    chosen = [index for index, sample in enumerate(samples) if sample.subtype in ("normal", kind)]
    auc = roc_auc_score([samples[index].label for index in chosen], FEATURES["mean"](images[chosen]))
    assert 0.25 < auc < 0.75


def test_levels_do_not_tell_normal_from_abnormal(samples: list[Sample]) -> None:
    auc = roc_auc_score([sample.label for sample in samples], [sample.attributes["level"] for sample in samples])
    assert 0.4 < auc < 0.6


@pytest.mark.parametrize("number", [7, 61, 62, 63, 64])
def test_the_script_draws_the_same_patient_again(number: int, make_phantom: ModuleType, samples: list[Sample]) -> None:
    shipped = {sample.id: sample for sample in samples if sample.group == f"p{number:03d}"}
    pictures = make_phantom.make_patient(number)
    assert [picture.id for picture in pictures] == list(shipped)
    for picture in pictures:
        sample = shipped[picture.id]
        difference = np.abs(picture.pixels.astype(int) - read(sample.path))
        assert difference.max() <= 1  # other maths libraries round differently
        if sample.mask is not None:
            assert (picture.finding.mask != (read(sample.mask) > 0)).sum() <= 2


def test_a_missing_manifest_is_named(tmp_path: Path, spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match=r"manifest\.tsv"):
        spec.samples(tmp_path)


def test_a_missing_image_is_named(tmp_path: Path, spec: DatasetSpec) -> None:
    (tmp_path / "manifest.tsv").write_bytes((phantom.FOLDER / "manifest.tsv").read_bytes())
    with pytest.raises(DataError, match=r"normal/p001_s1\.png"):
        spec.samples(tmp_path)
