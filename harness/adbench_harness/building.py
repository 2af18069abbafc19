"""An untrained detector from its plugin, its options, the protocol's rules and a seed."""

from __future__ import annotations

import torch

from . import seeding
from .api import BuildContext, FitRules, FittedDetector, ModelSpec, Options, PluginError, TrainedDetector
from .device import DTYPES
from .registry import Plugin, blamed

Learner = TrainedDetector | FittedDetector
"""A detector of one of the two kinds that the harness can train."""


def build_detector(model: Plugin[ModelSpec], options: Options, rules: FitRules, seed: int, device: torch.device) -> Learner:
    """Build a detector; its initial weights derive from the seed alone.

    Raises:
        OptionError: for an image size that the architecture can't take.
        PluginError: if the plugin fails, or builds something else.
    """
    with seeding.isolated(device):
        seeding.seed_global(seed, "build")
        context = BuildContext(
            device=device,
            dtype=DTYPES[rules.precision],
            channels=3 if rules.colour == "rgb" else 1,
            image_size=rules.image_size,
            generator=seeding.generator(torch.device("cpu"), seed, "initialisation"),
        )
        with blamed("model", model.source.qualified, "while it was built"):
            detector = model.spec.build(options, context)
    if not isinstance(detector, TrainedDetector | FittedDetector):
        raise PluginError(f"model {model.spec.name} builds a {type(detector).__name__}, not a TrainedDetector or FittedDetector")
    return detector
