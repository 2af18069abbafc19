"""How a detector changes with its training budget: python bench/budget.py MODEL BUDGET[,BUDGET...] [NAME=VALUE ...].

The embedded phantom is used under adbench-v1's split 0: it is no benchmark set, so no benchmark's test labels choose anything. For each
budget (training images presented, summed over phases) one line of tab-separated values: ROC AUC on the phantom's test images,
Spearman's correlation of their scores with those at the budget before, seconds of training, and the losses of the last epoch that
was finished. Before the first budget stand the scores of the untrained detector.

A detector of one phase is trained once, and looked at on its way: after so many images it is what a run of that budget ends with.
One of several phases is trained anew for each budget. NAME=VALUE are options of the model.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import nn

from adbench_harness import seeding
from adbench_harness.api import BuildContext, TrainedDetector
from adbench_harness.checkpoint import CheckpointFile
from adbench_harness.data.images import DeviceImages
from adbench_harness.data.prepare import Prepared, prepare
from adbench_harness.device import DTYPES, choose_device, describe, reproducible
from adbench_harness.home import Home
from adbench_harness.plan import Plan, RunRequest, plan
from adbench_harness.scoring import score_images
from adbench_harness.training import Training

SEVERAL_PHASES = ("f-anogan",)


@dataclass
class Measuring:
    """One detector's measurements, printed as they come."""

    model: str
    options: Mapping[str, str]
    work: Path
    previous: NDArray[np.float64] | None = field(default=None)

    def run(self, budgets: Sequence[int]) -> None:
        """Train up to each budget."""
        print("model\timages presented\tROC AUC\tSpearman\tseconds\tlosses", flush=True)
        if self.model in SEVERAL_PHASES:
            for budget in budgets:
                self.train(budget, [])
        else:
            self.train(budgets[-1], budgets[:-1])

    def train(self, budget: int, marks: Sequence[int]) -> None:
        """Train for a budget, and measure at each of the marks on the way and at the end."""
        chosen = self.planned(budget)
        rules, device = chosen.protocol.fit, choose_device("auto")
        prepared = prepare(chosen.listing, chosen.samples("train", "test"), rules, Home(self.work / "home"))
        detector = built(chosen, device)
        if self.previous is None:
            self.measure(chosen, prepared, detector, None)
        left = list(marks)

        def look() -> bool:
            while left and training.presented >= left[0]:
                left.pop(0)
                self.measure(chosen, prepared, detector, training)
            return False

        checkpoint = CheckpointFile(self.work / str(budget) / "checkpoint.pt", describe(device, rules.precision))
        images = DeviceImages(prepared, [s.id for s in chosen.samples("train")], device, DTYPES[rules.precision])
        training = Training(images, rules, 0, device, checkpoint, stop=look)
        training.run(detector)
        self.measure(chosen, prepared, detector, training)
        checkpoint.remove()

    def planned(self, budget: int) -> Plan:
        """The run of that budget on the phantom."""
        settings = {**self.options, "images_presented": str(budget)}
        return plan(RunRequest(self.model, "phantom", "adbench-v1", settings=settings), Home(self.work / "home"))

    def measure(self, chosen: Plan, prepared: Prepared, detector: TrainedDetector, training: Training | None) -> None:
        """Score the test images and print a line; without a training, of the untrained detector."""
        samples, device = chosen.samples("test"), choose_device("auto")
        images = DeviceImages(prepared, [s.id for s in samples], device, DTYPES[chosen.protocol.fit.precision])
        with resting(detector):
            scores = score_images(detector, images, chosen.protocol.fit.batch_size, device)
        auc = roc_auc_score([s.label for s in samples], scores)
        agreement = f"{spearmanr(scores, self.previous).statistic:.3f}" if self.previous is not None else ""
        self.previous = scores
        losses = {f"{p.phase}.{p.name}": p.value for p in training.curves} if training else {}
        words = " ".join(f"{name}={value:.4g}" for name, value in losses.items())
        presented, seconds = (training.presented, training.seconds) if training else (0, 0.0)
        print(f"{self.model}\t{presented}\t{auc:.3f}\t{agreement}\t{seconds:.0f}\t{words}", flush=True)


def built(chosen: Plan, device: torch.device) -> TrainedDetector:
    """The untrained detector, as a run of seed 0 builds it."""
    rules = chosen.protocol.fit
    with seeding.isolated(device):
        seeding.seed_global(0, "build")
        random = seeding.generator(torch.device("cpu"), 0, "initialisation")
        context = BuildContext(device, DTYPES[rules.precision], 3 if rules.colour == "rgb" else 1, rules.image_size, random)
        detector = chosen.model.spec.build(chosen.options, context)
    assert isinstance(detector, TrainedDetector), f"{chosen.model.spec.name} makes one pass whatever the budget"
    return detector


@contextmanager
def resting(detector: TrainedDetector) -> Iterator[None]:
    """With every layer in eval mode; then as it was."""
    networks = [value for value in vars(detector).values() if isinstance(value, nn.Module)]
    modes = [(layer, layer.training) for network in networks for layer in network.modules()]
    try:
        for layer, _ in modes:
            layer.training = False
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def main(model: str, budgets: str, *options: str) -> None:
    """Measure one detector."""
    settings = dict(option.partition("=")[::2] for option in options)
    with tempfile.TemporaryDirectory() as folder, reproducible():
        Measuring(model, settings, Path(folder)).run(sorted(int(budget) for budget in budgets.split(",")))


if __name__ == "__main__":
    main(*sys.argv[1:])
