"""Pictures for people: a few test images, what a detector makes of them, and where it finds them abnormal.

Which images is decided by dataset, split and sample id alone, so that every model and seed shows the same ones. It is decided
after scoring, since labels have a part in it; none reaches a detector.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from . import seeding
from .api import Detector, Images, Sample, TrainingError, hash_order
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
    starts = range(0, len(chosen), batch_size)
    batches = [torch.arange(start, min(start + batch_size, len(chosen)), device=device) for start in starts]
    with torch.no_grad(), seeding.isolated(device):
        seeding.seed_global(seed, "examples")
        inputs = torch.cat([images.batch(indices) for indices in batches])
        # A detector gets images of its own each time: what it does to them must not show in another picture.
        size = tuple(inputs.shape[1:])
        rebuilt = _collect("reconstruction", detector.reconstruct, images, batches, size)
        maps = _collect("anomaly map", detector.anomaly_map, images, batches, size[1:])
    if rebuilt is None and maps is None:
        return None
    return _pictures(chosen, scores, _plain(inputs), rebuilt, maps)


def _collect(
    what: str,
    make: Callable[[Tensor], Tensor | None],
    images: Images,
    batches: Sequence[Tensor],
    size: tuple[int, ...],
) -> NDArray[np.float64] | None:
    """What a detector makes of all batches, shape (N, *size); None if it makes nothing of the first."""
    parts: list[NDArray[np.float64]] = []
    for indices in batches:
        made = make(images.batch(indices))
        if made is None and not parts:
            return None
        parts.append(_checked(what, made, (len(indices), *size)))
    return np.concatenate(parts)


def _checked(what: str, made: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if not isinstance(made, Tensor) or made.shape != shape:
        found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise TrainingError(f"the detector's {what} must be a tensor of shape {shape}, and is {found}")
    if not made.is_floating_point():
        raise TrainingError(f"the detector's {what} must be of floating-point numbers, and is of {made.dtype}")
    values = _plain(made)
    if not np.isfinite(values).all():
        raise TrainingError(f"the detector's {what} has {int((~np.isfinite(values)).sum())} values that are not finite")
    return values


def _plain(values: Tensor) -> NDArray[np.float64]:
    plain: NDArray[np.float64] = values.detach().cpu().double().numpy()  # on the CPU first: not every device has float64
    return plain


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
        files.update((names[kind], _png(values)) for kind, values in pixels.items())
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


def _png(values: NDArray[np.float64]) -> bytes:
    """PNG of (C, H, W) in [0, 1], gray for one channel; what lies outside is clipped."""
    pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    return stream.getvalue()
