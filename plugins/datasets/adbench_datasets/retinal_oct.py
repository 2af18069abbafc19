"""Retinal OCT: B-scans of normal eyes and of three diseases, in folders of split and class.

Two editions are published. Of Mendeley's the 1000 test images are known one by one. Kaggle's has 242 test and 8 validation
images of each class, which are Mendeley's 250 test images divided (true byte for byte of all 32 validation images; of the
test images by their number): an import accepts no others there. Training images, as many in both, are counted only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from adbench_harness.api import (
    NORMAL,
    CountedFolder,
    DataError,
    DatasetSpec,
    Download,
    Edition,
    ManifestEntry,
    Sample,
    hookimpl,
)

from . import image_folders, shipped_manifests
from .image_folders import REPAIR

adbench_api: Final = 1

NAME: Final = "retinal-oct"
TRAIN: Final = "train"
TEST: Final = "test"
VALIDATION: Final = "val"
SPLITS: Final = (TRAIN, TEST)
SUBTYPES: Final[Mapping[str, str]] = {"NORMAL": NORMAL, "CNV": "cnv", "DME": "dme", "DRUSEN": "drusen"}
"""Subtype of the images in each class folder, normal first."""
TRAIN_COUNTS: Final[Mapping[str, int]] = {"NORMAL": 26315, "CNV": 37205, "DME": 11348, "DRUSEN": 8616}
"""Training images of each class, the same number in both editions."""
KAGGLE_TEST: Final = 242
KAGGLE_VALIDATION: Final = 8
MENDELEY_TEST: Final = 250
"""Images of each class."""
UNUSED: Final = tuple(f"{TRAIN}/{name}" for name, subtype in SUBTYPES.items() if subtype != NORMAL)
"""A detector trains on normal images, so a copy without these will do."""
_FILE: Final = re.compile(r"(CNV|DME|DRUSEN|NORMAL)-([0-9]+)-[0-9]+\.jpeg")


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register Retinal OCT."""
    register(RETINAL_OCT)


def list_scans(root: Path) -> list[Sample]:
    """One sample for each image: the training images first, the normal ones first of each split, each class by file name."""
    parent = image_folders.outermost(root, _is_dataset)
    if parent is None:
        raise DataError(
            f"{root} lacks {TRAIN}/ and {TEST}/ with the folders NORMAL, CNV, DME and DRUSEN, in which the images of {NAME} lie "
            f"(it holds {image_folders.shown_entries(root)}); {REPAIR}"
        )
    splits = image_folders.class_folders(parent, SPLITS)
    return [sample for split in SPLITS for sample in _split_samples(root, splits[split], split)]


def _is_dataset(folder: Path) -> bool:
    """Whether both splits lie in a folder, and one of them has a disease of the eye: other datasets have a test and a train."""
    splits = image_folders.class_folders(folder, SPLITS)
    if splits.keys() != set(SPLITS):
        return False
    return any(image_folders.class_folders(path, SUBTYPES).keys() - {"NORMAL"} for path in splits.values())


def _split_samples(root: Path, folder: Path, split: str) -> list[Sample]:
    """The samples of one split."""
    classes = image_folders.class_folders(folder, SUBTYPES)
    strange = [path for path in image_folders.entries(folder) if path not in classes.values()]
    if strange:
        raise DataError(f"{strange[0]} is none of the classes {', '.join(SUBTYPES)}; remove it, or {REPAIR}")
    samples: list[Sample] = []
    for name in SUBTYPES:
        images = image_folders.entries(classes[name]) if name in classes else []
        if not images and f"{split}/{name}" not in UNUSED:
            state = f"{classes[name]} is empty, but holds" if name in classes else f"{folder} lacks {name}/, which holds"
            raise DataError(f"{state} the images of a class of {NAME}; {REPAIR}")
        samples += [_scan_sample(root, split, name, path) for path in images]
    return samples


def _scan_sample(root: Path, split: str, class_name: str, path: Path) -> Sample:
    """The sample of an image; its id says split and class, as the same file name may occur in both splits.

    The patient is the number without the class: some patients have images of two classes.
    """
    match = _FILE.fullmatch(path.name)
    if match is None or not path.is_file():
        raise DataError(f"{path} is no image named CLASS-PATIENT-NUMBER.jpeg, such as CNV-1016042-1.jpeg; remove it, or {REPAIR}")
    if match[1] != class_name:
        raise DataError(f"{path} is named as an image of {match[1]} and lies among those of {class_name}; {REPAIR}")
    subtype = SUBTYPES[class_name]
    return Sample(
        id=f"{split}/{class_name}/{path.name}",
        path=path.relative_to(root).as_posix(),
        label=0 if subtype == NORMAL else 1,
        subtype=subtype,
        group=match[2],
        official_split=split,
    )


def read_manifest() -> Sequence[ManifestEntry]:
    """The test images of Mendeley's edition with their SHA-256 and size."""
    # The shipped table has three training images too, which are known by chance.
    return [entry for entry in shipped_manifests.read_shipped_manifest(NAME) if entry.path.startswith(f"{TEST}/")]


def read_class_manifest(class_name: str) -> Sequence[ManifestEntry]:
    """The test images of one class."""
    return [entry for entry in read_manifest() if entry.path.startswith(f"{TEST}/{class_name}/")]


def _no_known_files() -> Sequence[ManifestEntry]:
    """Of Kaggle's edition no file's place is known, since which images it took for validation is not."""
    return ()


def _counts(test: int) -> Mapping[str, int]:
    """Images by subtype in an edition with this many test images of each class."""
    return {subtype: TRAIN_COUNTS[name] + test for name, subtype in SUBTYPES.items()}


_COUNTED_TRAINING: Final = tuple(CountedFolder(f"{TRAIN}/{name}", count) for name, count in TRAIN_COUNTS.items())
_COUNTED_TEST: Final = tuple(
    CountedFolder(f"{split}/{name}", count, among=partial(read_class_manifest, name))
    for split, count in ((TEST, KAGGLE_TEST), (VALIDATION, KAGGLE_VALIDATION))
    for name in SUBTYPES
)
KAGGLE: Final = Edition(
    "kaggle",
    _no_known_files,
    title="Kaggle's, which the study used: 242 test images of each class, and 8 for validation, which are not used",
    optional=(*UNUSED, VALIDATION),
    counted=_COUNTED_TRAINING + _COUNTED_TEST,
    expected=_counts(KAGGLE_TEST),
)
MENDELEY: Final = Edition(
    "mendeley",
    read_manifest,
    title="Mendeley Data, version 2: 250 test images of each class",
    optional=UNUSED,
    counted=_COUNTED_TRAINING,
    expected=_counts(MENDELEY_TEST),
)

RETINAL_OCT: Final = DatasetSpec(
    name=NAME,
    title="Retinal OCT, B-scans",
    samples=list_scans,
    modality="OCT",
    organ="eye",
    citation=(
        "D. S. Kermany, M. Goldbaum, W. Cai et al. (2018): Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep "
        "Learning. Cell 172(5), pp. 1122-1131. Data: D. Kermany, K. Zhang, M. Goldbaum (2018): Labeled Optical Coherence Tomography "
        "(OCT) and Chest X-Ray Images for Classification. Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2."
    ),
    licence=(
        "not established: third parties disagree (CC BY 4.0, CC BY-NC-SA 4.0); find out for yourself before you share the images or "
        "what is made of them"
    ),
    source=(
        "Kaggle, paultimothymooney/kermany2018 (about 10.8 GB, the edition that the study used), or Mendeley Data, "
        "doi:10.17632/rscbjbr9sj.2 (OCT2017). Download it yourself and import the archive or the unpacked folder."
    ),
    group_rule="one patient: the number in the middle of the file name, without the class, as some patients have images of two classes",
    expected=_counts(KAGGLE_TEST),
    tasks={subtype: (subtype,) for subtype in SUBTYPES.values() if subtype != NORMAL},
    url="https://doi.org/10.17632/rscbjbr9sj.2",
    description=(
        "Grey B-scans of normal eyes, choroidal neovascularisation (cnv), diabetic macular oedema (dme) and drusen. The three tasks "
        "share their normal images. 237 of Mendeley's 1000 test images, of all classes, have white padding over 5 % of their area."
    ),
    editions=(KAGGLE, MENDELEY),
    downloads=(Download("kaggle:paultimothymooney/kermany2018", bytes=10_800_000_000),),
    split_counts=(26315, 242, 726),
)
