"""What stands between a model of anomalib and adbench, in place of anomalib's Engine and Lightning's Trainer.

Taken from anomalib: the network, its preprocessing of an image (at the protocol's size), its loss, its optimiser, and the raw score and
map that its network gives in eval mode. Left out: data loading, the trainer, early stopping, anomalib's post-processing (smoothing by
min and max of a validation set, thresholds), its metrics and its pictures; adbench has all of that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import numpy as np
import torch
from torch import Tensor, nn

from adbench_harness.api import (
    BuildContext,
    Detector,
    FitContext,
    FittedDetector,
    Images,
    Json,
    OptionError,
    Phase,
    Step,
    TrainedDetector,
    TrainingError,
    WeightsError,
)

from .backbones import fill, random_at_first
from .options import INSTALLED, AnomalibOptions, BackboneOptions

TOGETHER: Final = 16
"""Images that are scored at once off the CPU. Always so many: what a batch is cut into changes the last digits of a convolution."""


class Bridged(Detector):
    """A LightningModule of anomalib that has no trainer."""

    smallest: ClassVar[int] = 32
    """Height and width, pixels."""
    fewest: ClassVar[int] = 1
    """Training images."""
    frozen: ClassVar[str | None] = None
    """Where the backbone is in the network, by its name there."""

    def __init__(self, options: Any, context: BuildContext) -> None:
        self._check(options, context)
        self.device = context.device
        size = (context.image_size, context.image_size)
        with random_at_first(), numpy_seeded(context.generator):
            try:
                self.module = self.make(options, size)
            except ValueError as error:
                raise OptionError(
                    f"anomalib {INSTALLED} refuses these options at {size[0]} x {size[1]} pixels: {error}"
                ) from error
        self.network: nn.Module = self.module.model
        self.facts: dict[str, Json] = {"anomalib": INSTALLED}
        if self.frozen is not None and isinstance(options, BackboneOptions):
            self.facts["backbone"] = fill(self.network.get_submodule(self.frozen), self.backbone(options), options.weights)
        # Without a trainer these have nowhere to write; adbench keeps the curves.
        self.module.log = self.module.log_dict = lambda *_, **__: None
        self.module.to(context.device).eval()

    @abstractmethod
    def make(self, options: Any, size: tuple[int, int]) -> Any:
        """Anomalib's module (an AnomalibModule) for these options and this height and width."""

    @staticmethod
    def backbone(options: Any) -> str:
        """Timm's name of the backbone."""
        return str(options.backbone)

    def _check(self, options: AnomalibOptions, context: BuildContext) -> None:
        if options.anomalib != INSTALLED:
            raise OptionError(f"this is for anomalib {options.anomalib}, and {INSTALLED} is installed")
        if context.dtype != torch.float32:
            raise OptionError("anomalib's models compute in float32; leave precision out")
        if context.image_size < self.smallest:
            raise OptionError(f"images of {context.image_size} pixels are too small here; {self.smallest} are needed")

    def _check_number(self, images: Images) -> None:
        if len(images) < self.fewest:
            raise TrainingError(f"{self.fewest} training images are needed at least, and there is {len(images)}")

    def prepared(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] as anomalib's preprocessing gives them to its network: three channels, normalised."""
        found: Tensor = self.module.pre_processor(images.expand(-1, 3, -1, -1))
        return found

    def batch(self, images: Tensor) -> Any:
        """Images as anomalib's training step takes them; it carries no label and no mask."""
        from anomalib.data import ImageBatch

        return ImageBatch(image=self.prepared(images))

    def score(self, images: Tensor) -> Tensor:
        """Anomalib's ``pred_score`` as its network gives it, shape (B,)."""
        return torch.cat([found.pred_score.reshape(-1)[:kept] for found, kept in self._predicted(images)])

    def anomaly_map(self, images: Tensor) -> Tensor | None:
        """Anomalib's ``anomaly_map``, shape (B, H, W), not negative; None if the model has none."""
        maps = []
        for found, kept in self._predicted(images):
            if found.anomaly_map is None:
                return None
            maps.append(found.anomaly_map.reshape(-1, *images.shape[-2:])[:kept])
        return self.raised(torch.cat(maps)).clamp(min=0)  # 1 - cosine may round to just below 0

    def raised(self, values: Tensor) -> Tensor:
        """Values of anomalib's map so that they begin at 0, as adbench's do."""
        return values

    def _predicted(self, images: Tensor) -> Iterator[tuple[Any, int]]:
        """What the network says of a few images at a time, and of how many of them it counts."""
        together = 1 if images.device.type == "cpu" else TOGETHER
        for few in torch.split(images, together):
            filled = torch.cat([few, few[-1:].expand(together - len(few), -1, -1, -1)])
            yield self.network(self.prepared(filled)), len(few)

    def state(self) -> dict[str, Tensor]:
        """All of the network but its frozen backbone, which is known by its source and hash."""
        return {name: tensor.contiguous() for name, tensor in self.network.state_dict().items() if not self._is_frozen(name)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave.

        Raises:
            WeightsError: if it is of another network.
        """
        missing, unknown = self.network.load_state_dict(dict(state), strict=False)
        wrong = [name for name in missing if not self._is_frozen(name)] + list(unknown)
        if wrong:
            raise WeightsError(
                f"the stored detector is of another network, perhaps another version of anomalib: {', '.join(wrong[:3])}"
            )
        self.network.eval()

    def _is_frozen(self, name: str) -> bool:
        return self.frozen is not None and name.startswith(f"{self.frozen}.")

    def provenance(self) -> dict[str, Json]:
        """Anomalib's version, and which backbone it was."""
        return self.facts


class Bank(Bridged, FittedDetector):
    """A model that collects features in one pass and fits to them."""

    def __init__(self, options: Any, context: BuildContext) -> None:
        super().__init__(options, context)
        self.limit: int = options.fit_images

    def fit(self, images: Images, context: FitContext) -> None:
        """One pass over the training images, or over so many of them; then anomalib's own fit."""
        self._check_number(images)
        chosen = torch.randperm(len(images), generator=context.generator)[: self.limit].sort().values
        self.network.train()
        with torch.no_grad(), numpy_seeded(context.generator):
            for number, indices in enumerate(torch.split(chosen.to(self.device), context.batch_size)):
                context.progress(number * context.batch_size, len(chosen), "features")
                self.module.training_step(self.batch(images.batch(indices)), number)
            context.progress(len(chosen), len(chosen), "features")
            try:
                self.module.fit()
            except ValueError as error:
                raise TrainingError(f"anomalib can't fit to the features of {len(chosen)} images: {error}") from error
        self.network.eval()


class Learner(Bridged, TrainedDetector):
    """A model that learns by gradient. adbench's loop calls anomalib's training step."""

    epochs: ClassVar[int]
    """Of the paper where it says, for a protocol without a budget."""

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        """One stage, with anomalib's optimisers."""
        self._check_number(images)
        made = self.module.configure_optimizers()
        optimisers = list(made) if isinstance(made, list | tuple) else [made]
        # What a Trainer would lend to a training step that steps its optimisers itself.
        self.module.optimizers = lambda: optimisers
        self.module.manual_backward = lambda loss, **settings: loss.backward(**settings)

        def step(batch: Step) -> Mapping[str, Tensor]:
            losses = self.module.training_step(self.batch(batch.images), batch.index)
            if self.module.automatic_optimization:
                optimisers[0].zero_grad()
                losses["loss"].backward()
                optimisers[0].step()
            return {name: loss.detach() for name, loss in losses.items()}

        named = {f"{type(optimiser).__name__}-{number}".lower(): optimiser for number, optimiser in enumerate(optimisers)}
        yield Phase("train", {"network": self.network}, named, epochs=self.epochs, step=step)


def raw(module: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Settings with which a class of anomalib is built: its own preprocessing at this size, and nothing that comes after the network."""
    settings = dict.fromkeys(("post_processor", "evaluator", "visualizer"), False)
    return {"pre_processor": module.configure_pre_processor(size), **settings}


@contextmanager
def numpy_seeded(generator: torch.Generator) -> Iterator[None]:
    """FrEIA's permutations and scikit-learn's projections draw from numpy's global generator, which is put back as it was."""
    before = np.random.get_state()
    np.random.seed(int(torch.randint(2**32 - 1, (), generator=generator)))
    try:
        yield
    finally:
        np.random.set_state(before)
