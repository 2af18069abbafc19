"""What the whole matrix costs on a GPU, computed from measured rates: python bench/matrix_cost.py.

Whole runs of adbench-v1 were measured on an NVIDIA H100; of esmaeili2023 only seconds an optimiser step, by bench/training_steps.py (batch of
32, 128 x 128, float32; docs/models/). No T4 was measured: its times are the H100's by the ratio of the two cards' peak in float32 and of their memory's bandwidth, as their data sheets
state them; the truth should lie between the two, and short steps, which launch kernels more than they compute, below.
"""

from __future__ import annotations

import math
from typing import Final

from adbench_harness import registry

STEPS: Final = {"critic": 0.013, "generator": 0.007, "encoder": 0.007, "ganomaly": 0.013, "multikd": 0.009}
"""Seconds on the H100: critic, generator and encoder are f-AnoGAN's; Multi-KD's small cloner, its teacher looked up."""
WHOLE: Final = {"f-anogan": 20.0, "ganomaly": 22.0, "multikd": 8.5}
"""Seconds on the H100 from the images to the figures: adbench-v1, brain-tumor-mri, split 0, seed 0, one at a time, mean of two."""
PEAK: Final = {"H100": 67.0, "T4": 8.1}
"""Teraflops in float32 without tensor cores."""
BANDWIDTH: Final = {"H100": 3350.0, "T4": 320.0}
"""Gigabytes a second."""
BATCH: Final = 32
CRITICS: Final = 5
"""f-AnoGAN's critic steps a generator step."""


def f_anogan(gan: float, encoder: float) -> float:
    """Seconds of so many steps."""
    return gan * (STEPS["critic"] + STEPS["generator"] / CRITICS) + encoder * STEPS["encoder"]


def published(images: int) -> dict[str, float]:
    """Seconds a run of each model with its published epochs on so many training images."""
    options = {name: registry.model(name).spec.options() for name in ("f-anogan", "ganomaly", "multikd")}
    epoch = math.ceil(images / BATCH)

    def steps(model: str, length: str) -> int:
        return epoch * int(getattr(options[model], length))

    return {
        "f-anogan": f_anogan(steps("f-anogan", "gan_epochs"), steps("f-anogan", "encoder_epochs")),
        "ganomaly": steps("ganomaly", "adversarial_epochs") * STEPS["ganomaly"],
        "multikd": steps("multikd", "distil_epochs") * STEPS["multikd"],
    }


def hours(seconds: float, card: str) -> str:
    """On a card; of the T4 by both ratios."""
    if card == "H100":
        return f"{seconds / 3600:.1f} h"
    ratios = sorted((PEAK["H100"] / PEAK[card], BANDWIDTH["H100"] / BANDWIDTH[card]))
    return " to ".join(f"{seconds * ratio / 3600:.0f}" for ratio in ratios) + " h"


def main() -> None:
    """Both protocols."""
    ranked, study = registry.protocol("adbench-v1").spec, registry.protocol("esmaeili2023").spec
    runs = 7 * ranked.splits * len(ranked.seeds)
    for model, seconds in WHOLE.items():
        print(
            f"{ranked.name}  {model:9} {seconds:5.1f} s a run on the H100; {runs} runs: {hours(seconds * runs, 'H100')}, T4 {hours(seconds * runs, 'T4')}"
        )
    total = sum(WHOLE.values()) * runs
    print(f"{ranked.name}  all: {3 * runs} runs, H100 {hours(total, 'H100')}, T4 {hours(total, 'T4')}")
    total = 0.0
    for dataset, (training, _) in study.split_counts.items():
        seconds = sum(published(training).values()) * len(study.seeds)
        total += seconds
        print(f"{study.name}  {dataset:16} {training:6} training images: {hours(seconds, 'H100')}, T4 {hours(seconds, 'T4')}")
    print(
        f"{study.name}  all: {3 * len(study.split_counts) * len(study.seeds)} runs, H100 {hours(total, 'H100')}, T4 {hours(total, 'T4')}"
    )


if __name__ == "__main__":
    main()
