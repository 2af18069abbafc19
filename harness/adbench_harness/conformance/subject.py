"""The model that is looked at: built, trained and asked for scores by the harness's own parts, on the easy case."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import seeding
from ..api import FitRules, ModelSpec, Options
from ..building import Learner, build_detector
from ..checkpoint import CheckpointFile
from ..device import describe, reproducible
from ..registry import Plugin
from ..training import Training
from . import case
from .case import CaseImages, EasyCase, GivenImages, easy_case
from .watch import Watch, watching

BATCH: Final = 16
BUDGET: Final = 1920
"""Training images presented before scores are looked at: 120 steps, or one pass of a detector that learns in one go."""
SHORT: Final = 96
"""Where only sameness is looked at: 6 steps."""
IMAGE_SIZE: Final = 32

Batches = Sequence[Sequence[int]]
Stop = Callable[[Training], bool]
"""Whether a training is to stop now."""


def never(training: Training) -> bool:
    """Let it go on to its end."""
    return False


@dataclass
class ModelSubject:
    """A model with its options on a device."""

    plugin: Plugin[ModelSpec]
    options: Options
    settings: Mapping[str, str]
    device: torch.device
    folder: Path
    """Where it may write."""
    image_size: int = IMAGE_SIZE
    budget: int = BUDGET
    watch: Watch | None = None
    """What it did beside its work while it was trained and scored."""
    reached: list[str] = field(default_factory=list)
    """What it tried to get of its training images beside their pixels."""
    trainings: int = field(default=0, init=False)

    @property
    def case_words(self) -> str:
        """The case and the budget, for the report."""
        return (
            f"{case.NAME}: {case.TRAIN} training images, {case.NORMAL} normal and {case.ABNORMAL} abnormal test images of "
            f"{self.image_size} x {self.image_size} pixels; {self.budget} images presented in batches of {BATCH}"
        )

    @cached_property
    def case(self) -> EasyCase:
        """The easy case in three channels."""
        return easy_case(self.image_size, 3)

    def rules(self, budget: int, channels: int = 3) -> FitRules:
        """The rules under which a training is made."""
        return FitRules(
            image_size=self.image_size, batch_size=BATCH, images_presented=budget, colour="rgb" if channels == 3 else "gray"
        )

    def build(self, channels: int = 3, device: torch.device | None = None, seed: int = 0) -> Learner:
        """An untrained detector."""
        return build_detector(self.plugin, self.options, self.rules(SHORT, channels), seed, device or self.device)

    def train(
        self,
        pixels: Tensor,
        budget: int,
        detector: Learner | None = None,
        checkpoint: Path | None = None,
        stop: Stop = never,
    ) -> tuple[Learner, Training]:
        """A detector trained on the pixels, by the harness's loop; each time from another state of Python's and numpy's generators."""
        self.trainings += 1
        disturb(self.trainings)
        return self._train(pixels, budget, detector, checkpoint, stop)

    def _train(
        self, pixels: Tensor, budget: int, detector: Learner | None, checkpoint: Path | None, stop: Stop
    ) -> tuple[Learner, Training]:
        channels = pixels.shape[1]
        made = detector if detector is not None else self.build(channels)
        file = checkpoint or self.folder / "checkpoints" / str(self.trainings) / "checkpoint.pt"
        training = Training(
            GivenImages(CaseImages(pixels, self.device), self.reached),
            self.rules(budget, channels),
            seed=0,
            device=self.device,
            checkpoint=CheckpointFile(file, describe(self.device, "float32")),
            stop=lambda: stop(training),
        )
        with reproducible():
            training.run(made)
        return made, training

    def raw_scores(self, detector: Learner, pixels: Tensor, batches: Batches | None = None) -> list[Tensor]:
        """What ``score`` gives for each batch of images, given by their places; all in one batch unless said otherwise."""
        images = CaseImages(pixels, self.device)
        with reproducible(), seeding.isolated(self.device), torch.inference_mode():
            return [
                detector.score(images.batch(torch.tensor(batch, dtype=torch.int64, device=self.device)))
                for batch in batches or [range(len(pixels))]
            ]

    def scores(self, detector: Learner, pixels: Tensor, batches: Batches | None = None) -> NDArray[np.float64]:
        """Scores in the order in which the batches name images."""
        return as_numbers(self.raw_scores(detector, pixels, batches))

    @cached_property
    def trained(self) -> tuple[Learner, Training]:
        """The detector after the whole budget, watched."""
        disturb(self.trainings)
        pixels = self.case.train
        with self._watched():
            detector, training = self._train(pixels, self.budget, None, None, never)
            self.raw_scores(detector, self.case.test)  # what they are is for the checks to say
        return detector, training

    @cached_property
    def reference(self) -> NDArray[np.float64]:
        """Scores of the test images, all in one batch."""
        return self.scores(self.trained[0], self.case.test)

    @cached_property
    def short(self) -> NDArray[np.float64]:
        """Scores after a short training without a stop."""
        return self.scores(self.train(self.case.train, SHORT)[0], self.case.test)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """With a home that holds labels, into which a detector has no reason to look."""
        secret = self.folder / "home"
        (secret / "datasets" / case.NAME).mkdir(parents=True, exist_ok=True)
        labels = "\n".join(f"{place},{label}" for place, label in enumerate(self.case.labels))
        (secret / "datasets" / case.NAME / "labels.csv").write_text(f"image,label\n{labels}\n")
        (self.folder / "tmp").mkdir(exist_ok=True)
        before = {name: os.environ.get(name) for name in ("ADBENCH_HOME", "TMPDIR")}
        temporary = tempfile.tempdir
        os.environ.update({"ADBENCH_HOME": str(secret), "TMPDIR": str(self.folder / "tmp")})
        tempfile.tempdir = str(self.folder / "tmp")
        try:
            with watching(self.folder, secret) as watch:
                yield
            self.watch = watch
        finally:
            tempfile.tempdir = temporary
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def as_numbers(scores: Sequence[Tensor]) -> NDArray[np.float64]:
    """Scores of all batches, float64."""
    numbers: NDArray[np.float64] = torch.cat([part.detach().cpu().double() for part in scores]).numpy()
    return numbers


def disturb(number: int) -> None:
    """Put Python's and numpy's global generators into another state, on which no score may depend."""
    random.seed(1000 + number)  # a number that no author would think of
    np.random.seed(1000 + number)
