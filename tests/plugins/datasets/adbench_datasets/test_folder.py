"""A folder of one's own: what is taken, what is refused, and that no patient is named in what is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adbench_datasets import folder
from adbench_harness import registry
from adbench_harness.api import DataError, NotImportedError, OptionError, Sample
from adbench_harness.data.listing import listing
from adbench_harness.home import Home, Results
from adbench_harness.result import read_scores

pydicom = pytest.importorskip("pydicom")
uids = pytest.importorskip("pydicom.uid")


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
    return path


def dicom(path: Path, patient: str | None, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = uids.DigitalXRayImageStorageForPresentation
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = uids.generate_uid()
    if patient is not None:
        with pydicom.config.disable_value_validation():
            file.PatientID, file.PatientName = patient, f"NAME-OF-{patient}"
    file.Rows = file.Columns = 12
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.WindowCenter, file.WindowWidth = 2048, 4096
    file.PixelData = np.random.default_rng(seed).integers(0, 4096, (12, 12), dtype=np.uint16).tobytes()
    file.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """Three normal images, two of a kind each, one of no stated kind."""
    root = tmp_path / "Chest X-rays"
    for place in ("normal/1.png", "normal/2019/ward b/2.JPG", "normal/3.tiff", "abnormal/4.bmp"):
        picture(root / place)
    for place in ("abnormal/effusion/5.png", "abnormal/effusion/left/6.pgm", "abnormal/nodule/7.png", "abnormal/nodule/8.jpeg"):
        picture(root / place)
    return root


def test_labels_subtypes_and_ids_follow_from_the_place(chest: Path) -> None:
    spec = folder.at(chest)
    samples = spec.samples(chest)
    assert {sample.id: sample.subtype for sample in samples} == {
        "normal/1.png": "normal",
        "normal/2019/ward b/2.JPG": "normal",
        "normal/3.tiff": "normal",
        "abnormal/4.bmp": "abnormal",
        "abnormal/effusion/5.png": "effusion",
        "abnormal/effusion/left/6.pgm": "effusion",
        "abnormal/nodule/7.png": "nodule",
        "abnormal/nodule/8.jpeg": "nodule",
    }
    assert all(sample.id == sample.path and sample.label == (sample.subtype != "normal") for sample in samples)
    assert {(sample.group, sample.official_split) for sample in samples} == {(None, None)}
    assert (spec.name, spec.title, spec.embedded) == ("folder-chest-x-rays", "Folder Chest X-rays", chest)
    assert spec.tasks == {"effusion": ("effusion",), "nodule": ("nodule",)}
    assert spec.private_groups
    assert spec.at is None


def test_a_split_of_one_s_own_is_taken_over(tmp_path: Path) -> None:
    for place in ("train/normal/a.png", "test/normal/b.png", "test/abnormal/c.png", "test/abnormal/mass/d.png"):
        picture(tmp_path / place)
    found = {s.id: (s.label, s.subtype, s.official_split) for s in folder.list_images(tmp_path)}
    assert found == {
        "train/normal/a.png": (0, "normal", "train"),
        "test/normal/b.png": (0, "normal", "test"),
        "test/abnormal/c.png": (1, "abnormal", "test"),
        "test/abnormal/mass/d.png": (1, "mass", "test"),
    }
    assert folder.at(tmp_path).tasks == {"mass": ("mass",)}
    picture(tmp_path / "train" / "abnormal" / "e.png")
    with pytest.raises(
        DataError, match=r"train/abnormal has no place here: images lie in train/normal/, test/normal/ and test/abnormal/"
    ):
        folder.at(tmp_path)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Röntgen Thorax (2024)", "folder-rontgen-thorax-2024"),
        ("..data", "folder-data"),
        ("x" * 200, "folder-" + "x" * 40),
        ("胸部", "folder-c46177f4"),
        ("---", "folder-cb3f91d5"),
    ],
)
def test_the_name_is_what_is_plain_of_the_folder_s_or_its_digest(tmp_path: Path, name: str, slug: str) -> None:
    picture(tmp_path / name / "normal" / "a.png")
    picture(tmp_path / name / "abnormal" / "b.png")
    spec = folder.at(tmp_path / name)
    assert (spec.name, spec.title) == (slug, f"Folder {name}")
    assert folder.at(tmp_path / name / "normal" / "..").name == spec.name


def test_names_in_any_script_are_ids_composed_alike_on_every_system(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Müller é.png")
    picture(tmp_path / "normal" / decomposed)
    picture(tmp_path / "abnormal" / "結節" / "画像 1.png")
    normal, abnormal = folder.list_images(tmp_path)
    assert normal.id == "normal/Müller é.png"
    assert (tmp_path / normal.path).exists()
    assert (abnormal.id, abnormal.subtype) == ("abnormal/結節/画像 1.png", "結節")
    assert folder.at(tmp_path).tasks == {"結節": ("結節",)}


def test_litter_is_left_alone(chest: Path) -> None:
    before = folder.list_images(chest)
    for place in (".DS_Store", "normal/Thumbs.db", "normal/._1.png", "abnormal/__MACOSX/x.png", "DICOMDIR", ".git/config"):
        (chest / place).parent.mkdir(exist_ok=True)
        (chest / place).write_bytes(b"x")
    assert folder.list_images(chest) == before
    assert folder.at(chest).tasks.keys() == {"effusion", "nodule"}


@pytest.mark.parametrize("place", ["normal/notes.txt", "abnormal/nodule/deep/report.pdf", "normal/1.2.840.5", "normal/IM1"])
def test_any_other_file_is_named(chest: Path, place: str) -> None:
    (chest / place).parent.mkdir(exist_ok=True)
    (chest / place).write_bytes(bytes(500))
    with pytest.raises(DataError, match=rf"{place} is no image \(\.bmp, .*\.tiff, or DICOM by its content\); remove it"):
        folder.list_images(chest)


@pytest.mark.parametrize("place", ["readme.txt", "other/1.png", "masks/normal/1.png"])
def test_what_lies_beside_the_parts_is_named(chest: Path, place: str) -> None:
    picture(chest / "x.png").rename(chest / "x.tmp")
    (chest / place).parent.mkdir(parents=True, exist_ok=True)
    (chest / "x.tmp").rename(chest / place)
    with pytest.raises(
        DataError, match=rf"{place.partition('/')[0]} has no place here: images lie in normal/ and abnormal/; move it"
    ):
        folder.at(chest)


def test_a_folder_that_lacks_a_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone: no such folder; give the folder that holds normal/ and abnormal/"):
        folder.at(tmp_path / "gone")
    with pytest.raises(DataError, match=r"x\.png: a file, not a folder"):
        folder.at(picture(tmp_path / "x.png"))
    (tmp_path / "x.png").unlink()
    with pytest.raises(DataError, match=r" lacks normal/ and abnormal/; put the images into"):
        folder.at(tmp_path)
    (tmp_path / "normal").mkdir()
    with pytest.raises(DataError, match=r" lacks abnormal/; put the images into normal/ and abnormal/ there"):
        folder.at(tmp_path)
    (tmp_path / "abnormal").write_text("a file")
    with pytest.raises(DataError, match=r"abnormal has no place here"):
        folder.at(tmp_path)


def test_an_empty_part_or_kind_is_named(tmp_path: Path) -> None:
    for part in ("normal/deep/er", "abnormal"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "normal" / ".DS_Store").touch()
    with pytest.raises(DataError, match=r"/normal holds no image; put the normal images there"):
        folder.list_images(tmp_path)
    picture(tmp_path / "normal" / "a.png")
    with pytest.raises(DataError, match=r"/abnormal holds no image; put the abnormal images there"):
        folder.list_images(tmp_path)
    picture(tmp_path / "abnormal" / "b.png")
    (tmp_path / "abnormal" / "mass").mkdir()
    with pytest.raises(DataError, match=r"/abnormal/mass holds no image, but is a kind of abnormality; fill it or remove it"):
        folder.list_images(tmp_path)


@pytest.mark.parametrize("kind", ["all", "normal", "abnormal", "Normal", "ALL"])
def test_a_kind_of_a_name_that_means_something_is_refused(chest: Path, kind: str) -> None:
    picture(chest / "abnormal" / kind / "x.png")
    with pytest.raises(DataError, match=rf"abnormal/{kind}: no kind of abnormality can be called '{kind}'; rename the folder"):
        folder.at(chest)


def test_links_may_lead_to_files_in_the_folder_and_nowhere_else(chest: Path, tmp_path: Path) -> None:
    (chest / "normal" / "again.png").symlink_to(chest / "normal" / "1.png")
    assert "normal/again.png" in {sample.id for sample in folder.list_images(chest)}
    outside = picture(tmp_path / "outside.png")
    for target, words in (
        (outside, "a link that leaves the folder"),
        (chest / "gone.png", "a link that leads nowhere"),
        (chest / "normal", "a link to a folder"),
    ):
        link = chest / "normal" / "link.png"
        link.symlink_to(target)
        with pytest.raises(DataError, match=rf"normal/link\.png is {words}"):
            folder.list_images(chest)
        link.unlink()
    link.symlink_to(link)
    with pytest.raises(DataError, match=r"normal/link\.png is a link that leads nowhere"):
        folder.list_images(chest)


def test_the_folder_itself_may_be_a_link(chest: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(chest)
    assert folder.at(tmp_path / "short").name == "folder-short"
    assert folder.list_images(tmp_path / "short") == folder.list_images(chest)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_named(chest: Path) -> None:
    Path(os.fsdecode(os.fsencode(chest) + b"/normal/\xff.png")).touch()
    with pytest.raises(DataError, match=r"holds a file whose name is no UTF-8 text, b'\\xff\.png'; rename or remove it"):
        folder.list_images(chest)


def test_a_pipe_is_not_opened(chest: Path) -> None:
    os.mkfifo(chest / "normal" / "pipe.dcm")
    with pytest.raises(DataError, match=r"pipe\.dcm is no image"):
        folder.list_images(chest)


def groups(samples: list[Sample]) -> dict[str, str | None]:
    return {sample.id.rpartition("/")[2]: sample.group for sample in samples}


def test_dicom_files_are_grouped_by_patient(chest: Path) -> None:
    dicom(chest / "normal" / "a.dcm", "PID-1")
    dicom(chest / "normal" / "1.2.840.113619", "PID-1 ")
    dicom(chest / "abnormal" / "IM0001", "x" * 70)  # longer than the standard allows, which is no error
    dicom(chest / "abnormal" / "none.dcm", None)
    dicom(chest / "abnormal" / "empty.dcm", "")
    found = groups(folder.list_images(chest))
    assert {name: group for name, group in found.items() if group} == {
        "a.dcm": "PID-1",
        "1.2.840.113619": "PID-1",
        "IM0001": "x" * 70,
    }
    assert {"none.dcm", "empty.dcm", "1.png"} <= found.keys()


def test_pixels_are_not_read_for_a_group(chest: Path) -> None:
    path = dicom(chest / "normal" / "a.dcm", "PID-1")
    path.write_bytes(path.read_bytes()[:-200])
    assert groups(folder.list_images(chest))["a.dcm"] == "PID-1"


def test_a_file_that_is_dicom_by_name_only_is_named(chest: Path) -> None:
    picture(chest / "x.png").rename(chest / "normal" / "x.dcm")
    with pytest.raises(DataError, match=r"x\.dcm is called \.dcm and is no DICOM file \(no DICM at byte 128\)"):
        folder.list_images(chest)


def test_a_broken_header_is_named_and_nothing_in_it_repeated(chest: Path) -> None:
    path = dicom(chest / "normal" / "a.dcm", "PID-1")
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
    file.save_as(path)
    path.write_bytes(path.read_bytes()[:-300] + b"PID-1" * 60)
    with pytest.raises(DataError, match=r"a\.dcm: corrupt DICOM file: its header can't be read \(\w+\)$"):
        folder.list_images(chest)


def test_without_pydicom_the_command_that_brings_it_is_named(chest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    folder.list_images(chest)
    dicom(chest / "normal" / "a.dcm", "PID-1")
    with pytest.raises(DataError, match=r"a\.dcm: a DICOM file, which needs pydicom: pip install 'adbench-harness\[dicom\]'"):
        folder.list_images(chest)


def test_a_table_of_groups_goes_before_the_header(chest: Path) -> None:
    dicom(chest / "normal" / "a.dcm", "PID-1")
    dicom(chest / "normal" / "é.dcm", "PID-2")
    dicom(chest / "normal" / "c.dcm", "PID-3")
    table = "path,group\nnormal/1.png,anna\n\n abnormal/4.bmp , anna\nnormal/a.dcm,\n"
    (chest / "groups.csv").write_text(table + unicodedata.normalize("NFD", "normal/é.dcm,berta\n"), encoding="utf-8-sig")
    found = {name: group for name, group in groups(folder.list_images(chest)).items() if group}
    assert found == {"1.png": "anna", "4.bmp": "anna", "é.dcm": "berta", "c.dcm": "PID-3"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "line 1: must be path,group, columns separated by commas"),
        ("path;group\nnormal/1.png;SECRET\n", "line 1: must be path,group"),
        (
            "path,group\nnormal/1.png,a\nnormal/9.png,SECRET\n",
            "line 3: no image 'normal/9.png'; a path is relative to the folder",
        ),
        ("path,group\nnormal\\1.png,SECRET\n", "line 2: no image .*with forward slashes"),
        ("path,group\n,SECRET\n", "line 2: no path"),
        ("path,group\nnormal/1.png,SECRET\nnormal/1.png,SECRET\n", "line 3: 'normal/1.png' has a group already"),
        ("path,group\nnormal/1.png,SECRET,x\n", "line 2: 3 columns, not 2"),
        ('path,group\nnormal/1.png,"SECRET\n', "after line 1: unexpected end of data"),
    ],
)
def test_a_wrong_table_is_named_by_line_and_no_group_repeated(chest: Path, table: str, message: str) -> None:
    (chest / "groups.csv").write_text(table)
    with pytest.raises(DataError, match=rf"groups\.csv, {message}") as caught:
        folder.list_images(chest)
    assert "SECRET" not in str(caught.value)


def test_a_table_that_is_no_text_is_named(chest: Path) -> None:
    (chest / "groups.csv").write_bytes("path,group\nnormal/1.png,Müller\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"groups\.csv: not UTF-8; save it as CSV in UTF-8"):
        folder.list_images(chest)


def test_without_a_folder_it_is_said_what_to_type(home: Home) -> None:
    spec = registry.dataset("folder").spec
    with pytest.raises(NotImportedError, match="say which folder: folder:/path"):
        listing(spec, home)
    with pytest.raises(DataError, match="say which folder: folder:/path"):
        spec.samples(home.root)
    with pytest.raises(OptionError, match="say which folder: folder:/path"):
        registry.dataset("folder:")


def test_a_copy_elsewhere_has_the_same_fingerprint(chest: Path, tmp_path: Path, home: Home) -> None:
    dicom(chest / "normal" / "a.dcm", "PID-1")
    dicom(chest / "normal" / "b.dcm", "PID-1")
    here = listing(registry.dataset(f"folder:{chest}").spec, home)
    (tmp_path / "moved").mkdir()
    there = chest.rename(tmp_path / "moved" / chest.name)
    again = listing(registry.dataset(f"folder:{there}").spec, Home(tmp_path / "other home"))
    assert again.fingerprint == here.fingerprint
    assert "PID-1" not in repr(here.samples)


def test_a_run_on_one_s_own_dicom_files_names_no_patient_in_anything_it_keeps(tmp_path: Path, warm: Any) -> None:
    root = tmp_path / "Röntgen 胸部"
    for number in range(12):
        dicom(root / "normal" / f"{number}.dcm", f"SECRET-{number // 2}", number)
    picture(root / "normal" / "plain.png", 20)
    for number in range(3):
        dicom(root / "abnormal" / "Knötchen" / f"IM{number}", f"SECRET-{20 + number}", 30 + number)
        picture(root / "abnormal" / f"other {number}.png", 40 + number)
    table = [f"abnormal/other {number}.png,SECRET-{40 + number}\n" for number in range(3)]
    (root / "groups.csv").write_text("path,group\n" + "".join(table), encoding="utf-8")
    home, results = tmp_path / "home", Results(tmp_path / "results")

    def adbench(*words: str) -> str:
        own = {**os.environ, "ADBENCH_HOME": str(home), "ADBENCH_RESULTS": str(results.root)}
        command = [sys.executable, "-c", "from adbench_harness.cli import main; main()", *words]
        done: subprocess.CompletedProcess[str] = warm.run(command, cwd=tmp_path, env=own)
        assert done.returncode == 0, done.stderr
        assert "SECRET" not in done.stdout + done.stderr
        return done.stdout

    ran = json.loads(adbench("run", "--model", "pca", "--dataset", f"folder:{root.name}", "--device", "cpu", "--json"))
    assert ran[0]["run_id"].startswith("pca-folder-rontgen-")
    shown = adbench("datasets", "show", f"folder:{root}", "--json")
    assert json.loads(shown)["counts"] == {"Knötchen": 3, "abnormal": 3, "normal": 13}
    adbench("datasets", "split", f"folder:{root}", "--out", "results/split.tsv")
    adbench("leaderboard", "build", "--out", "results/site")
    (run,) = results.runs.iterdir()
    scores = read_scores(run)
    known = Counter(group is not None for group in scores.group)
    assert known[True] >= 6
    assert all(len(group) == 16 for group in scores.group if group is not None)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["cell"]["dataset"] == "folder-rontgen"
    assert f"folder:{root.name}" in manifest["command"]
    kept = [path for place in (home, results.root) for path in place.rglob("*") if path.is_file()]
    assert {"secret", "manifest.json", "scores.parquet", "adbench.duckdb"} <= {path.name for path in kept}
    for path in kept:
        assert b"SECRET" not in path.read_bytes(), path
        assert "SECRET" not in path.name
    assert "SECRET" not in adbench("results", "sql", "select * from score", "--json")
