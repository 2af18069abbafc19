"""The weights of a backbone: where they come from, and what they were.

anomalib has timm get them while it builds a model, and some models can't be built without. Here every model is built with random
ones, and filled afterwards from one source: one option, one error, and a hash of what it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adbench_harness.api import Json, WeightsError


@contextmanager
def random_at_first() -> Iterator[None]:
    """Networks that are built meanwhile get random weights, also where anomalib asks timm for pretrained ones whatever it is told."""
    import timm

    create = timm.create_model

    def without_weights(name: str, pretrained: bool = False, **settings: Any) -> Any:
        return create(name, pretrained=False, **settings)

    timm.create_model = without_weights
    try:
        yield
    finally:
        timm.create_model = create


def fill(network: nn.Module, name: str, source: str | Path) -> dict[str, Json]:
    """Give a backbone its weights, in place, and return what a run keeps about them.

    ``network`` may be the first stages alone; ``name`` is timm's. Random weights stay as they are.

    Raises:
        WeightsError: if they can't be had, or are of another network.
    """
    facts: dict[str, Json] = {"name": name, "weights": "file" if isinstance(source, Path) else source}
    if source != "random":
        given, more = _from_file(source) if isinstance(source, Path) else _from_timm(name)
        network.load_state_dict(_fitting(network.state_dict(), given, name, str(source)))
        facts |= more
    facts["values_sha256"] = _values_sha256(network.state_dict())
    return facts


def _fitting(wanted: Mapping[str, Tensor], given: Mapping[str, Any], name: str, where: str) -> dict[str, Tensor]:
    """Of a state dict, which may hold more (the classifier, later stages), what the network has."""
    found: dict[str, Tensor] = {}
    for key, own in wanted.items():
        tensor = given.get(key)
        if tensor is None and key.endswith("num_batches_tracked"):
            tensor = own  # older files lack it, and nothing reads it in eval mode
        if not isinstance(tensor, Tensor):
            raise WeightsError(f"{where}: no tensor {key!r}; a state dict of timm's or torchvision's {name} is wanted")
        if tensor.shape != own.shape:
            raise WeightsError(
                f"{where}: {key} has shape {tuple(tensor.shape)}, that of {name} is {tuple(own.shape)}; this is another network"
            )
        found[key] = tensor
    return found


@lru_cache(maxsize=1)
def _from_timm(name: str) -> tuple[Mapping[str, Tensor], dict[str, Json]]:
    """The weights that timm, and so anomalib, has for a plain name; downloaded once by timm."""
    import timm

    try:
        network = timm.create_model(name, pretrained=True)
    except Exception as error:  # whatever the network, the hub's client or the cache raise
        raise WeightsError(
            f"cannot get timm's weights for {name} ({_shortly(error)}); with no network give a state dict of timm's or torchvision's "
            f"{name} with --set weights=/path/to/{name}.pth (or .safetensors), or take random ones: --set weights=random"
        ) from None
    state: dict[str, Tensor] = network.state_dict()
    return state, {"tag": str(network.pretrained_cfg.get("tag", "")), "timm": timm.__version__}


def _from_file(path: Path) -> tuple[Mapping[str, Any], dict[str, Json]]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a state dict that can be read ({type(error).__name__})") from None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, not a state dict")
    return state, {}


def _shortly(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0].partition(". ")[0]
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _values_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the values of all floating-point tensors in order, as float32."""
    digest = hashlib.sha256()
    for tensor in tensors.values():
        if tensor.is_floating_point():
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
