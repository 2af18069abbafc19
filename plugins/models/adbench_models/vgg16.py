"""VGG-16's convolutional part (Simonyan & Zisserman, ICLR 2015) and where its ImageNet weights come from.

Two families of weights exist, and each was trained for an input of its own:

- ``imagenet``: torchvision's IMAGENET1K_V1, trained on (x - mean) / std of x in [0, 1].
- ``imagenet-features``: the original Caffe weights, torchvision's IMAGENET1K_FEATURES (Oxford VGG, CC BY 4.0), trained on RGB
  0-255 minus a mean. Left so, activations are in the hundreds; the network is positively homogeneous, so input and all
  biases are divided by one number, which divides every activation by it and changes no direction.

The public Multi-KD code feeds IMAGENET1K_V1 plain images in [0, 1] all the same. Which input a network gets is therefore a choice
of its own: ``plain`` leaves the mean (and the std) out, ``trained`` gives what the weights were trained for.

Multi-KD's teacher and the backbone of the feature-based detectors are chosen by the same options under names of their own: ``Choice``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.error import URLError

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from adbench_harness.api import Json, WeightsError, file_sha256

Pretrained = Literal["imagenet", "imagenet-features"]
Kind = Literal["imagenet", "imagenet-features", "random"]
Input = Literal["plain", "trained"]


def _there(source: str | Path) -> str | Path:
    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"no such file: {source}")
    return source.absolute() if isinstance(source, Path) else source


Source = Annotated[Literal["imagenet", "imagenet-features", "random"] | Path, AfterValidator(_there)]
"""Type of an option that says which weights: by name, or the path of a state dict that is there."""
SOURCE_MEANING: Final = "imagenet, imagenet-features, random, or the path of a VGG-16 state dict"
KIND_MEANING: Final = "for a path: which input its weights were trained for, if that can't be recognised"

BLOCKS: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
V1_MEAN: Final = (0.485, 0.456, 0.406)
V1_STD: Final = (0.229, 0.224, 0.225)
"""RGB, of values in [0, 1]."""
CAFFE_MEAN: Final = (123.68, 116.779, 103.939)
"""RGB, of pixels 0-255."""
CAFFE_SCALE: Final = 57.6
CAFFE_FIRST_BIASES: Final = (0.73429835, 0.09340367, 0.06775674)
"""conv1_1 of the Caffe weights begins so; nothing else does."""
V1_FILE_SHA256: Final = "397923af"
"""How the hash of torchvision's own file begins; it is part of that file's name."""


class VGG16(nn.Module):
    """The 13 convolutions and 5 max-pools, parameters named as torchvision's ``features.N``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for widths in BLOCKS:
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.ones(1, 3, 1, 1), persistent=False)
        self.plain = True
        """Whether mean and std are 0 and 1."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Outputs of the second to fifth max-pool, for images (B, 3, H, W) in [0, 1]."""
        x = images if self.plain else (images - self.get_buffer("mean")) / self.get_buffer("std")
        pools: list[Tensor] = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pools.append(x)
        return pools[1:]

    def outputs(self, images: Tensor, depths: Sequence[str]) -> list[Tensor]:
        """Outputs at ``depths``, in their order: ``block3`` is what enters the third max-pool, ``pool3`` what leaves it.

        Layers beyond the deepest are not computed.
        """
        x = images if self.plain else (images - self.get_buffer("mean")) / self.get_buffer("std")
        found: dict[str, Tensor] = {}
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                found[f"block{len(found) // 2 + 1}"] = x
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                found[f"pool{len(found) // 2 + 1}"] = x
                if found.keys() >= set(depths):
                    break
        return [found[depth] for depth in depths]

    def normalise(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take images in [0, 1] as (images - mean) / std, a mean and a std for each of three channels."""
        self.mean = torch.tensor(mean, dtype=torch.float64).reshape(1, 3, 1, 1).to(self.get_buffer("mean"))
        self.std = torch.tensor(std, dtype=torch.float64).reshape(1, 3, 1, 1).to(self.get_buffer("std"))
        self.plain = False

    def divide_biases(self, number: float) -> None:
        """Divide every bias; with the input divided alike, every activation is."""
        with torch.no_grad():
            for layer in self.features:
                if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                    layer.bias /= number


@dataclass(frozen=True)
class Weights:
    """Weights of the convolutional part, and what they are."""

    kind: Kind
    sha256: str
    """Of the values, layer by layer, float32."""
    tensors: Mapping[str, Tensor]

    def provenance(self, given: Input) -> dict[str, Json]:
        """What a run keeps about its weights; the study's was IMAGENET1K_V1, fed as the public code feeds it."""
        words = {
            ("imagenet", "plain"): "RGB in [0, 1]",
            ("imagenet", "trained"): f"(RGB in [0, 1] - {V1_MEAN}) / {V1_STD}",
            ("imagenet-features", "plain"): f"RGB 0-255 / {CAFFE_SCALE}, biases / {CAFFE_SCALE}",
            ("imagenet-features", "trained"): f"(RGB 0-255 - {CAFFE_MEAN}) / {CAFFE_SCALE}, biases / {CAFFE_SCALE}",
        }
        return {
            "kind": self.kind,
            "values_sha256": self.sha256,
            "input": words[self.kind, given],
            "as_in_the_study": (self.kind, given) == ("imagenet", "plain"),
        }


@dataclass(frozen=True)
class Choice:
    """Which weights a frozen VGG-16 has and what it is given, as a detector's options NAME, NAME_kind and NAME_input say."""

    name: str
    source: Kind | Path
    stated: Pretrained | None
    given: Input

    def check(self) -> None:
        """Raise ValueError where the options contradict each other."""
        if self.source == "random" and self.given == "trained":
            raise ValueError(f"{self.name}_input=trained has no meaning for a random {self.name}, which was trained for nothing")

    def identity(self, plain: dict[str, Json]) -> dict[str, Json]:
        """What weights from a file are counts, not whether it had to be said."""
        plain[f"{self.name}_input"] = self.given
        if isinstance(self.source, Path):
            plain[f"{self.name}_kind"] = self._weights().kind
        return plain

    def labels(self, words: dict[str, str]) -> dict[str, str]:
        """Weights from a file are named by what they are and their hash; for random ones there is one input."""
        if isinstance(self.source, Path):
            weights = self._weights()
            words[self.name] = f"{weights.kind}@{weights.sha256[:8]}"
            words.pop(f"{self.name}_kind", None)
        elif self.source == "random":
            words.pop(f"{self.name}_input", None)
        return words

    def network(self, generator: torch.Generator) -> tuple[VGG16, dict[str, Json]]:
        """The network, frozen, on the CPU in float32, and what a run keeps about it; random weights come from ``generator``.

        Raises:
            WeightsError: as ``pretrained``.
        """
        if self.source != "random":
            weights = self._weights()
            return build(weights, self.given), weights.provenance(self.given)
        made = build(None)
        xavier(made, generator)
        facts: dict[str, Json] = {
            "kind": "random",
            "values_sha256": values_sha256(made.state_dict()),
            "input": "RGB in [0, 1]",
            "as_in_the_study": False,
        }
        return made, facts

    def _weights(self) -> Weights:
        return _read_once(self.source, self.stated, self.name)


@lru_cache(maxsize=1)
def _read_once(source: Kind | Path, stated: Pretrained | None, option: str) -> Weights:
    """Read once for the name of the variant and for the run."""
    return pretrained(source, stated, option)


def pretrained(source: Kind | Path, stated: Pretrained | None = None, option: str = "teacher") -> Weights:
    """ImageNet weights by torchvision, or from a state dict in a file (the whole network, or its ``features`` alone).

    ``option`` is what the user calls ``source``.

    Raises:
        WeightsError: if the download fails, or the file holds another network, or its kind can't be told and is not stated.
    """
    if isinstance(source, Path):
        tensors = _convolutions(_read(source), str(source))
        return Weights(_kind_of(source, tensors, stated, option), values_sha256(tensors), tensors)
    tensors = _convolutions(_download(source, option), source)
    return Weights(source, values_sha256(tensors), tensors)


def build(weights: Weights | None, given: Input = "plain") -> VGG16:
    """A frozen VGG-16 in eval mode, which makes its input of images in [0, 1]; with PyTorch's initial weights if none are given."""
    network = VGG16()
    if weights is not None:
        network.load_state_dict(dict(weights.tensors))
        if weights.kind == "imagenet-features":
            mean = [value / 255 for value in CAFFE_MEAN] if given == "trained" else [0.0] * 3
            network.normalise(mean, [CAFFE_SCALE / 255] * 3)
            network.divide_biases(CAFFE_SCALE)
        elif given == "trained":
            network.normalise(V1_MEAN, V1_STD)
    return network.eval().requires_grad_(False)


def xavier(network: nn.Module, generator: torch.Generator) -> None:
    """Xavier uniform weights for every convolution, as the public Multi-KD code initialises its networks; biases as PyTorch does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def values_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the values of all tensors in order, as float32."""
    digest = hashlib.sha256()
    for tensor in tensors.values():
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _download(kind: Kind, option: str) -> Mapping[str, Any]:
    from torchvision.models import VGG16_Weights  # 3 s to import, so only where it is needed

    weights = VGG16_Weights.IMAGENET1K_V1 if kind == "imagenet" else VGG16_Weights.IMAGENET1K_FEATURES
    target = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    try:
        state: Mapping[str, Any] = weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(
            f"cannot get VGG-16 weights {kind!r} from {weights.url} ({reason}); with no network, put that file at {target}, "
            f"or give a state dict with --set {option}=/path/to/vgg16.pth"
        ) from None
    return state


def _read(path: Path) -> Mapping[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: not a state dict that can be read ({type(error).__name__})") from None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, not a state dict")
    return state


def _convolutions(state: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    """The 13 convolutions of a state dict, named ``features.N.weight`` and ``features.N.bias``, in order."""
    expected = {name: tensor.shape for name, tensor in VGG16().state_dict().items()}
    found: dict[str, Tensor] = {}
    for name, shape in expected.items():
        tensor = state.get(name, state.get(name.removeprefix("features.")))
        if not isinstance(tensor, Tensor):
            raise WeightsError(f"{where}: no tensor {name!r}; a VGG-16 state dict (or its features) is wanted")
        if tensor.shape != shape:
            raise WeightsError(
                f"{where}: {name} has shape {tuple(tensor.shape)}, VGG-16's is {tuple(shape)}; this is another network"
            )
        found[name] = tensor
    return found


def _kind_of(path: Path, tensors: Mapping[str, Tensor], stated: Kind | None, option: str) -> Kind:
    if stated is not None:
        return stated
    first = tensors["features.0.bias"][: len(CAFFE_FIRST_BIASES)].double()
    if torch.allclose(first, torch.tensor(CAFFE_FIRST_BIASES, dtype=torch.float64), atol=1e-5):
        return "imagenet-features"
    if file_sha256(path).startswith(V1_FILE_SHA256):
        return "imagenet"
    raise WeightsError(
        f"{path}: these are neither torchvision's IMAGENET1K_V1 file nor the Caffe weights, so the input they were trained for is "
        f"unknown; say it with --set {option}_kind=imagenet (plain [0, 1]) or --set {option}_kind=imagenet-features"
    )
