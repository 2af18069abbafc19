"""What a detector is: it learns from normal images, then gives each image a score.

Tensors: images are float, shape (B, C, H, W), values in [0, 1], on the run's device, in the run's dtype. Scores have shape
(B,), one finite number an image, higher = more anomalous, and a score never depends on the other images of its batch.
No label reaches a detector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .options import Json, Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer


class Images(Protocol):
    """The training images, prepared and on the device."""

    def __len__(self) -> int:
        """How many images there are."""

    def batch(self, indices: Tensor) -> Tensor:
        """Images at ``indices`` (int64, shape (B,)) as float (B, C, H, W) in [0, 1]."""


class FitContext(Protocol):
    """What the harness lends a detector while it learns."""

    @property
    def batch_size(self) -> int:
        """The protocol's batch size."""

    @property
    def generator(self) -> torch.Generator:
        """A CPU random generator, seeded for this run, for draws in ``fit`` and between phases; a step has a generator of its own."""

    def log(self, name: str, value: float, step: int = 0) -> None:
        """Keep one point of the curve ``name``; it is stored with the run."""

    def progress(self, done: int, total: int, what: str = "fit") -> None:
        """Show how far the work has come. Raises InterruptedRunError if the user has asked to stop."""


@dataclass(frozen=True)
class Step:
    """One training step's input."""

    images: Tensor
    """Float (B, C, H, W) in [0, 1]."""
    indices: Tensor
    """Int64 (B,): which training images these are; a key for what a detector has precomputed an image."""
    index: int
    """Position of this step in its epoch, from 0."""
    epoch: int
    """From 0."""
    generator: torch.Generator
    """Random generator on the images' device, seeded by (seed, phase, epoch)."""


@dataclass
class Phase:
    """One stage of training by gradient, which the harness runs: order, seeds, logging, checkpoints, resuming.

    ``step`` computes losses, steps the optimisers itself (so that it can alternate between networks) and returns the values
    to log as detached 0-d tensors on the device. It must not read a value back to the host.
    """

    name: str
    modules: Mapping[str, nn.Module]
    """Everything that this phase changes; saved in checkpoints by these names."""
    optimisers: Mapping[str, Optimizer]
    epochs: int
    """The published default; a protocol may set another length."""
    step: Callable[[Step], Mapping[str, Tensor]]
    drop_last: bool = False
    """Leave out an epoch's last, incomplete batch."""
    description: str = ""
    share: float = 1.0
    """The part of a training budget that this phase gets, above 0; those of all phases sum to at most 1. No part without a budget."""


@dataclass(frozen=True)
class Transductive:
    """A published test procedure in which an image's score depends on its batch mates.

    Test images are then scored in a seeded random order, in batches of the published size whatever the protocol's; the run
    is marked and never ranked.
    """

    batch_size: int
    reason: str
    """What makes the score depend on the batch, in a few words; shown with every figure of the run."""


class Detector(ABC):
    """An anomaly detector. Derive from TrainedDetector or FittedDetector."""

    @abstractmethod
    def score(self, images: Tensor) -> Tensor:
        """Anomaly scores, shape (B,), higher = more anomalous; called without autograd, after learning."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Tensors that ``load`` needs to score again in another process; stored as safetensors."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned."""

    def reconstruct(self, images: Tensor) -> Tensor | None:
        """What the detector makes of the images, same shape, values in [0, 1]; None if it makes no image.

        Called without autograd, for pictures that people look at; no figure depends on it.
        """
        return None

    def anomaly_map(self, images: Tensor) -> Tensor | None:
        """Where the images are abnormal, shape (B, H, W), not negative, higher = more; None if the detector can't tell.

        Called with autograd off (``torch.enable_grad`` turns it on), for pictures that people look at, and for figures over pixels
        where a dataset has masks. No score depends on it.
        """
        return None

    @property
    def transductive(self) -> Transductive | None:
        """None: a score depends on its image alone. Only a published test procedure that breaks this rule says so here."""
        return None

    def provenance(self) -> dict[str, Json]:
        """Facts about what the detector was given from outside (pretrained weights and their hash); kept with the run."""
        return {}

    def parameters(self) -> int:
        """Number of learnt values, for the model's page."""
        return sum(tensor.numel() for tensor in self.state().values())


class TrainedDetector(Detector):
    """A detector that learns by gradient, in phases that the harness's loop runs."""

    @abstractmethod
    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """The stages of training, lazily: the next is asked for when the one before has been trained (or restored)."""


class FittedDetector(Detector):
    """A detector that learns in one go of its own (PCA, a feature bank)."""

    @abstractmethod
    def fit(self, images: Images, context: FitContext) -> None:
        """Learn from the training images."""


@dataclass(frozen=True)
class BuildContext:
    """What a detector is built for."""

    device: torch.device
    dtype: torch.dtype
    channels: int
    image_size: int
    """Height and width, pixels."""
    generator: torch.Generator
    """CPU generator for initialisation. The global one is seeded too, for layers that initialise themselves."""


@dataclass(frozen=True)
class ModelSpec:
    """A model as the harness, the command line and the site know it."""

    name: str
    title: str
    build: Callable[[Any, BuildContext], Detector]
    """Make an untrained detector from an instance of ``options``; the class itself, as a rule.

    Raises OptionError for an image size the architecture can't take.
    """
    paper: str
    """Full reference of the method."""
    family: str
    """For instance "reconstruction", "GAN", "knowledge distillation"."""
    training_phase: str
    testing_phase: str
    score: str
    """These three say in words what happens (the study's Table 2)."""
    revision: int
    """Raise it when results change; every stored run of the model is then trained anew."""
    options: type[Options] = Options
    url: str = ""
    description: str = ""
