from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from adbench_harness import registry
from adbench_harness.api import AdbenchError, Box, OptionError, Sample
from adbench_harness.data.audit import audit
from adbench_harness.data.audit.findings import split_findings
from adbench_harness.data.audit.report import Audit, Finding, Shortcut, save
from adbench_harness.data.audit.shortcuts import hanley_mcneil
from adbench_harness.data.duplicates import Duplicates
from adbench_harness.data.listing import listing
from adbench_harness.home import Home
from adbench_harness.protocol import split

REPOSITORY = Path(__file__).parents[4]
PROTOCOL = registry.protocol("esmaeili2023").spec

Audited = Callable[..., Audit]


def picture(seed: int, side: int = 64) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def normal(name: str, **facts: Any) -> Sample:
    return Sample(name, name, 0, **facts)


def abnormal(name: str, subtype: str = "spot", **facts: Any) -> Sample:
    return Sample(name, name, 1, subtype, **facts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten normal and ten abnormal pictures, n0.png ... a9.png, that have nothing in common."""
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(10):
        Image.fromarray(picture(k)).save(folder / f"n{k}.png")
        Image.fromarray(picture(100 + k)).save(folder / f"a{k}.png")
    return folder


PLAIN = [*(normal(f"n{k}.png") for k in range(10)), *(abnormal(f"a{k}.png") for k in range(10))]


@pytest.fixture
def audited(root: Path, home: Home, make_listing: Any) -> Audited:
    def run(samples: Sequence[Sample] = PLAIN, **settings: Any) -> Audit:
        return audit(make_listing(root, samples), home, PROTOCOL, **settings)

    return run


def kinds(found: Audit) -> list[str]:
    return [finding.kind for finding in found.findings]


def one(found: Audit, kind: str) -> Finding:
    (finding,) = [finding for finding in found.findings if finding.kind == kind]
    return finding


def feature(found: Audit, name: str) -> Shortcut:
    (shortcut,) = [shortcut for shortcut in found.shortcuts if shortcut.feature == name]
    return shortcut


def test_clean_data_has_no_finding(audited: Audited) -> None:
    found = audited()
    assert kinds(found) == []
    assert (found.samples, found.counts) == (20, {"normal": 10, "spot": 10})


def test_duplicates_are_told_with_all_ids(root: Path, audited: Audited) -> None:
    shutil.copy(root / "a0.png", root / "a1.png")
    Image.open(root / "a2.png").save(root / "a3.png", compress_level=0)
    Image.open(root / "a4.png").rotate(90).save(root / "a5.png.jpg", quality=70)
    (root / "a5.png").unlink()
    (root / "a5.png.jpg").rename(root / "a5.png")
    found = audited()
    assert [kind for kind in kinds(found) if kind != "shortcut"] == ["byte-equal", "pixel-equal", "near-duplicate"]
    assert one(found, "byte-equal").images == ("a0.png", "a1.png")
    assert one(found, "byte-equal").numbers == {"groups": 1, "images": 2, "redundant": 1}
    assert one(found, "pixel-equal").images == ("a2.png", "a3.png")
    assert one(found, "near-duplicate").images == ("a4.png", "a5.png")
    assert found.duplicates.near[0].orientation == "turned right by 90 degrees"
    assert found.duplicates.pixel_equal == (("a0.png", "a1.png"), ("a2.png", "a3.png"))


def test_what_lies_on_both_sides_of_the_split(root: Path, audited: Audited) -> None:
    subsets = split(PROTOCOL, "made", PLAIN, 0)
    train = sorted(name for name, subset in subsets.items() if subset == "train")
    shutil.copy(root / train[0], root / "a0.png")
    Image.open(root / train[1]).save(root / "a1.jpg", quality=70)
    (root / "a1.jpg").rename(root / "a1.png")
    groups = {train[2]: "patient", "a2.png": "patient", "a3.png": "patient", "a4.png": "another", "a5.png": "another"}
    found = audited([replace(sample, group=groups.get(sample.id)) for sample in PLAIN])
    assert set(one(found, "equal-across-split").images) == {train[0], "a0.png"}
    assert set(one(found, "near-across-split").images) == {train[1], "a1.png"}
    crossing = one(found, "group-across-split")
    assert set(crossing.images) == {train[2], "a2.png", "a3.png"}
    assert crossing.numbers == {"groups": 1, "test": 2, "test in all": 12, "learnt from": 1, "learnt from in all": 8}
    assert crossing.severity == "serious"
    assert set(one(found, "duplicates-of-two-labels").images) == {train[0], "a0.png", train[1], "a1.png"}
    assert one(found, "duplicates-of-two-labels").numbers == {"clusters": 2, "with equal pixels": 1}
    assert one(found, "group-of-two-classes").numbers["groups"] == 1
    assert [finding.severity for finding in found.findings] == sorted(
        (finding.severity for finding in found.findings), key=("serious", "warning", "note").index
    )


def test_held_out_images_are_learnt_from_too() -> None:
    samples = [normal("a", group="g"), normal("b", group="g"), normal("c", group="h"), normal("d", group="h")]
    nothing = Duplicates((), (), (), ())
    (finding,) = split_findings(samples, nothing, {"a": "held_out", "b": "test", "c": "train", "d": "held_out"}, "p's split 0")
    assert finding.images == ("a", "b")


def test_equal_pictures_of_two_patients(root: Path, audited: Audited) -> None:
    shutil.copy(root / "a0.png", root / "a1.png")
    groups = {"a0.png": "one", "a1.png": "other"}
    found = audited([replace(sample, group=groups.get(sample.id)) for sample in PLAIN])
    assert one(found, "equal-in-two-groups").images == ("a0.png", "a1.png")


def test_a_mode_and_a_format_of_one_label_only(root: Path, audited: Audited) -> None:
    for k in range(8):
        Image.fromarray(picture(k)).convert("RGBA").save(root / f"n{k}.png")
    for k in range(4):  # too few to say anything
        Image.fromarray(picture(100 + k)).save(root / f"a{k}.bmp")
        (root / f"a{k}.bmp").rename(root / f"a{k}.png")
    found = audited()
    finding = one(found, "one-label-category")
    assert finding.title == "mode RGBA only among normal images"
    assert finding.images == tuple(f"n{k}.png" for k in range(8))
    assert finding.severity == "warning"
    assert {(c.value, c.normal, c.abnormal) for c in found.categories} == {
        ("L", 2, 10),
        ("RGBA", 8, 0),
        ("BMP", 0, 4),
        ("PNG", 10, 6),
    }
    assert feature(found, "alpha").auc == feature(found, "mode is RGBA").auc == 0.9
    assert feature(found, "alpha").higher == "normal"


def test_a_category_of_the_common_label_is_only_a_note(root: Path, audited: Audited) -> None:
    Image.fromarray(picture(50)).save(root / "n10.png")
    for k in range(5):
        Image.fromarray(picture(k)).convert("RGB").save(root / f"n{k}.png")
    found = audited([*(normal(f"n{k}.png") for k in range(11)), abnormal("a0.png")])
    assert one(found, "one-label-category").severity == "note"


def test_brightness_and_size_that_tell_the_label(root: Path, audited: Audited) -> None:
    for k in range(10):
        Image.fromarray(picture(100 + k, 64 + 2 * k) // 4).save(root / f"a{k}.png")
    found = audited()
    told = {f.numbers["feature"]: f.numbers["higher"] for f in found.findings if f.kind == "shortcut"}
    assert told["brightness"] == told["border brightness"] == "normal"
    assert told["width"] == "abnormal"
    assert feature(found, "brightness").auc == 1.0
    assert "aspect" not in {shortcut.feature for shortcut in found.shortcuts}


def test_where_a_crop_lies(root: Path, audited: Audited) -> None:
    boxes = [Box(x, 10, x + 10, 20) for x in (0, 4, 8, 50, 54)]
    samples = [
        *(replace(normal(f"n{k}.png"), box=Box(25, 2 * k, 35, 2 * k + 10)) for k in range(5)),
        *(replace(abnormal(f"a{k}.png"), box=box) for k, box in enumerate(boxes)),
    ]
    found = audited(samples)
    side = feature(found, "crop to side")
    assert (side.auc, side.higher, side.normal, side.abnormal) == (1.0, "normal", 5, 5)
    labels, x = [0] * 5 + [1] * 5, [30] * 5 + [5, 9, 13, 55, 59]
    area = roc_auc_score(labels, x)
    assert feature(found, "crop x").auc == round(max(area, 1 - area), 4)


def test_the_standard_error_is_hanley_and_mcneil_s() -> None:
    # Their example: 0.893 with 58 normal and 51 abnormal images has a standard error of 0.032.
    assert hanley_mcneil(0.893, 58, 51) == pytest.approx(0.032, abs=1e-3)
    assert hanley_mcneil(1.0, 5, 5) == 0


def test_data_of_one_label_has_no_shortcuts(home: Home, root: Path, make_listing: Any) -> None:
    found = audit(make_listing(root, [normal(f"n{k}.png") for k in range(10)]), home, PROTOCOL)
    assert found.shortcuts == ()


def test_what_two_datasets_share(root: Path, home: Home, tmp_path: Path, make_listing: Any) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(root / "n0.png", other / "x0.png")
    Image.open(root / "a1.png").save(other / "x1.bmp")
    Image.open(root / "a2.png").transpose(Image.Transpose.ROTATE_180).save(other / "x2.jpg", quality=80)
    Image.open(root / "n0.png").save(other / "x4.jpg", quality=80)  # near to what is also there as it is
    Image.fromarray(picture(999)).save(other / "x3.png")
    theirs = [normal("x0.png"), *(abnormal(name, "blot") for name in ("x1.bmp", "x2.jpg", "x3.png", "x4.jpg"))]
    own, stranger = make_listing(root, PLAIN), make_listing(other, theirs)
    stranger = replace(stranger, spec=replace(stranger.spec, name="stranger"))
    found = audit(own, home, PROTOCOL, against=[stranger])
    (overlap,) = found.overlaps
    assert [tuple(row.model_dump().values()) for row in overlap.own] == [("normal", 10, 1, 0, 0), ("spot", 10, 0, 1, 1)]
    assert [tuple(row.model_dump().values()) for row in overlap.theirs] == [("blot", 4, 0, 1, 2), ("normal", 1, 1, 0, 0)]
    finding = one(found, "overlap")
    assert finding.title == "1 of 10 normal and 2 of 10 spot images are in stranger as well"
    assert finding.images == ("a1.png", "a2.png", "n0.png")
    assert kinds(audit(own, home, PROTOCOL)) == []


def test_an_audit_is_the_same_each_time_and_can_be_read_back(root: Path, audited: Audited, tmp_path: Path) -> None:
    shutil.copy(root / "a0.png", root / "a1.png")
    first, second = audited(), audited()
    assert first == second
    path = save(first, tmp_path / "audits")
    assert path.name == f"made-{first.fingerprint}.json"
    assert Audit.model_validate_json(path.read_bytes()) == first
    text = path.read_text()
    save(second, tmp_path / "audits")
    assert path.read_text() == text
    assert [file.name for file in (tmp_path / "audits").iterdir()] == [path.name]
    assert json.loads(text)["findings"][0]["images"] == ["a0.png", "a1.png"]


def test_where_an_audit_can_t_be_kept_is_said(audited: Audited, tmp_path: Path) -> None:
    (tmp_path / "audits").write_text("a file")
    with pytest.raises(AdbenchError, match="--results"):
        save(audited(), tmp_path / "audits")


def test_a_split_that_is_not_there(audited: Audited) -> None:
    with pytest.raises(OptionError, match="has no split 7"):
        audited(split=7)


def real_data(name: str) -> Path:
    """A file or folder of real data, or the test is skipped."""
    stated = os.environ.get("ADBENCH_TEST_DATA")
    folder = Path(stated) if stated else REPOSITORY.parent / "shared" / "data"
    if not (folder / name).exists():
        pytest.skip(f"no {name} in {folder}; set ADBENCH_TEST_DATA to its folder")
    return folder / name


def audit_real(dataset: str, folder: Path, home: Home) -> Audit:
    spec = replace(registry.dataset(dataset).spec, embedded=folder)
    return audit(listing(spec, home), home, PROTOCOL)


def test_real_head_ct(home: Home) -> None:
    found = audit_real("head-ct", real_data("head-ct"), home)
    assert one(found, "pixel-equal").images == ("head_ct/188.png", "head_ct/189.png")
    rgba = one(found, "one-label-category")
    assert rgba.title == "mode RGBA only among normal images"
    assert rgba.images == tuple(f"head_ct/{number}.png" for number in range(188, 200))
    assert [(pair.first[8:11], pair.second[8:11]) for pair in found.duplicates.near] == [
        ("010", "066"),
        ("011", "061"),
        ("105", "187"),
        ("198", "199"),
    ]
    assert feature(found, "width").auc > 0.8


def test_real_brain_tumor_mri(home: Home) -> None:
    found = audit_real("brain-tumor-mri", real_data("brain-tumor-mri"), home)
    assert one(found, "byte-equal").numbers == {"groups": 22, "images": 47, "redundant": 25}
    assert one(found, "near-duplicate").numbers["pairs"] == 20
    assert "duplicates-of-two-labels" not in kinds(found)
    assert one(found, "equal-across-split").severity == "serious"


def test_real_retinal_oct(home: Home) -> None:
    found = audit_real("retinal-oct", real_data("retinal-oct-mini"), home)
    assert one(found, "group-of-two-classes").numbers["groups"] == 18
    assert one(found, "group-across-split").numbers["groups"] == 6
    assert not {"byte-equal", "near-duplicate"} & set(kinds(found))


def test_real_c_nmc(home: Home, tmp_path: Path) -> None:
    with zipfile.ZipFile(real_data("c-nmc-mini.zip")) as archive:
        archive.extractall(tmp_path / "unpacked")
    found = audit_real("c-nmc", tmp_path / "unpacked" / "c-nmc-mini", home)
    assert one(found, "byte-equal").numbers == {"groups": 5, "images": 10, "redundant": 5}
    (pair,) = found.duplicates.near
    assert pair.first.endswith("UID_H22_21_10_hem.bmp")
    assert pair.second.endswith("UID_H22_28_10_hem.bmp")


def test_film_pairs_of_mias_are_on_both_sides_of_the_study_s_split(tmp_path: Path) -> None:
    """From the real list of films alone, beside empty files; unpacking the films would take long."""
    with tarfile.open(real_data("all-mias.tar.bz2"), "r|bz2") as archive:
        info = next(archive.extractfile(member) for member in archive if Path(member.name).name == "Info.txt")
        assert info is not None
        (tmp_path / "Info.txt").write_bytes(info.read())
    for film in range(1, 323):
        (tmp_path / f"mdb{film:03}.pgm").touch()
    samples = registry.dataset("mias").spec.samples(tmp_path)
    subsets = split(PROTOCOL, "mias", samples, 0)
    (finding,) = split_findings(samples, Duplicates((), (), (), ()), subsets, "esmaeili2023's split 0")
    assert finding.numbers == {"groups": 99, "test": 99, "test in all": 155, "learnt from": 99, "learnt from in all": 167}
