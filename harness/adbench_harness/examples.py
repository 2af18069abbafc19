"""Pictures for people: a few test images, what a detector makes of them, and where it finds them abnormal.

Which images is decided by dataset, split and sample id alone, so that every model and seed shows the same ones. It is decided
after scoring, since labels have a part in it; none reaches a detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from . import seeding
from .api import Detector, Images, Sample, hash_order
from .drawing import collect, plain, png
from .result import Example, Examples

EACH: Final = 8
"""At most so many normal images, and so many abnormal ones."""


def choose(dataset: str, split: int, test: Sequence[Sample]) -> list[Sample]:
    """At most EACH normal test images, then at most EACH abnormal ones, the subtypes in turn."""
    known = {sample.id: sample for sample in test}
    of_subtype: dict[str, list[Sample]] = {}
    normal: list[Sample] = []
    for sample in (known[sample_id] for sample_id in hash_order(list(known), "examples", dataset, split)):
        (of_subtype.setdefault(sample.subtype, []) if sample.label else normal).append(sample)
    in_turn = chain.from_iterable(zip_longest(*of_subtype.values()))
    return normal[:EACH] + list(islice((sample for sample in in_turn if sample is not None), EACH))


def draw(
    detector: Detector,
    images: Images,
    chosen: Sequence[Sample],
    scores: Mapping[str, float],
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Examples | None:
    """Pictures of ``chosen``, which are ``images`` in this order; None from a detector that makes none.

    A transductive detector makes none either: these images are another batch than the one that was scored.

    Raises:
        TrainingError: if a reconstruction or map is not finite or not of its shape.
    """
    if detector.transductive is not None or not chosen:
        return None
    batches = torch.split(torch.arange(len(chosen), device=device), batch_size)
    with torch.no_grad(), seeding.isolated(device):
        seeding.seed_global(seed, "examples")
        inputs = torch.cat([images.batch(indices) for indices in batches])
        # A detector gets images of its own each time: what it does to them must not show in another picture.
        size = tuple(inputs.shape[1:])
        rebuilt = collect("reconstruction", detector.reconstruct, images, batches, size)
        maps = collect("anomaly map", detector.anomaly_map, images, batches, size[1:])
    if rebuilt is None and maps is None:
        return None
    return _pictures(chosen, scores, plain(inputs), rebuilt, maps)


def _pictures(
    chosen: Sequence[Sample],
    scores: Mapping[str, float],
    inputs: NDArray[np.float64],
    rebuilt: NDArray[np.float64] | None,
    maps: NDArray[np.float64] | None,
) -> Examples:
    white = None if maps is None else float(maps.max()) if maps.max() > 0 else 1.0  # of maps that are black all over
    listed, files = [], dict[str, bytes]()
    for number, sample in enumerate(chosen):
        pixels = {"input": inputs[number]}
        if rebuilt is not None:
            pixels["reconstruction"] = rebuilt[number]
        if maps is not None:
            pixels["map"] = maps[number][None] / white
        names = {kind: f"{number:02}-{kind}.png" for kind in pixels}
        files.update((names[kind], png(values)) for kind, values in pixels.items())
        listed.append(
            Example(
                image=sample.id,
                label=sample.label,
                subtype=sample.subtype,
                score=scores[sample.id],
                files=names,
                map_white=white,
            )
        )
    return Examples(listed, files)
