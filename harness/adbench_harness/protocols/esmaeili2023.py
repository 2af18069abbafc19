"""The protocol of Esmaeili et al., 2023, for reproducing the study: its image size, batch size, epochs and counts.

The study states 128 x 128 images in [0, 1], batches of 32 and the default values of the public implementations; it publishes
neither its file lists nor its seeds. So normals are split at image level into the counts of its Table 1, in the order of a
hash, and five seeds are run. Its precision, recall and F1 are those of the threshold that maximises F1 on the test set, and
its figures of sensitivity and specificity fit Youden's J: both rules see test labels, and are called oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from adbench_harness.api import EvaluationRules, FitRules, ProtocolSpec, Sample, Subset, hash_order, hookimpl

adbench_api = 1

NAME: Final = "esmaeili2023"

# Table 1: training normals, test normals.
TABLE_1: Final[Mapping[str, tuple[int, int]]] = {
    "head-ct": (80, 20),
    "brain-tumor-mri": (80, 18),
    "br35h": (1200, 300),
    "mias": (167, 40),
    "mias-patches": (167, 40),
    "retinal-oct": (26315, 242),
    "c-nmc": (3389, 648),
}


def assign(dataset: str, samples: Sequence[Sample], split: int) -> dict[str, Subset]:
    """Abnormal images are test; normals as the source splits them, else by Table 1's counts, else four to one."""
    normals = [sample for sample in samples if sample.label == 0]
    if all(sample.official_split for sample in normals):
        chosen: dict[str, Subset] = {s.id: "train" if s.official_split == "train" else "test" for s in normals}
        abnormal = [sample for sample in samples if sample.label == 1 and sample.official_split == "test"]
    else:
        chosen = _by_hash(dataset, [sample.id for sample in normals], split)
        abnormal = [sample for sample in samples if sample.label == 1]
    chosen.update((sample.id, "test") for sample in abnormal)
    return chosen


def _by_hash(dataset: str, normals: Sequence[str], split: int) -> dict[str, Subset]:
    order = hash_order(normals, NAME, split)
    train, test = TABLE_1.get(dataset, (0, 0))
    if train + test != len(normals):  # another dataset, or another edition than the study's
        train = len(normals) * 4 // 5
    return {sample: "train" if place < train else "test" for place, sample in enumerate(order)}


@hookimpl
def register_protocols(register: Callable[[ProtocolSpec], None]) -> None:
    """Register the study's protocol."""
    register(
        ProtocolSpec(
            name=NAME,
            version=1,
            title="Esmaeili et al. 2023 (reproduction)",
            description="128 x 128 RGB in [0, 1], batches of 32, each detector's published epochs; Table 1's counts; oracle thresholds.",
            fit=FitRules(),
            evaluation=EvaluationRules(thresholds=("best-f1", "youden")),
            split_rule=(
                "Every abnormal image is test. Normals keep the source's official split if it has one; else they are sorted by "
                "SHA-256(protocol|split|sample id) and the first are training: Table 1's count, or four fifths where Table 1 does not apply."
            ),
            split_counts=TABLE_1,
            splits=1,
            seeds=(0, 1, 2, 3, 4),
            reference=(
                "Esmaeili, Toosi, Roshanpoor, Changizi, Ghazisaeedi, Rahmim, Sabokrou: Generative Adversarial Networks for Anomaly "
                "Detection in Biomedical Imaging: A Study on Seven Medical Image Datasets. IEEE Access, 2023."
            ),
            assign=assign,
        )
    )
