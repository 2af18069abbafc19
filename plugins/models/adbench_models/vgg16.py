"""VGG-16's convolutional part (Simonyan & Zisserman, ICLR 2015) and where its ImageNet weights come from.

Two families of weights exist, and each was trained for an input of its own:

- ``imagenet``: torchvision's IMAGENET1K_V1, trained on (x - mean) / std of x in [0, 1].
- ``imagenet-features``: the original Caffe weights, torchvision's IMAGENET1K_FEATURES (Oxford VGG, CC BY 4.0), trained on RGB
  0-255 minus a mean. Left so, activations are in the hundreds; the network is positively homogeneous, so input and all
  biases are divided by one number, which divides every activation by it and changes no direction.

The public Multi-KD code feeds IMAGENET1K_V1 plain images in [0, 1] all the same. Which input a network gets is therefore a choice
of its own: ``plain`` leaves the mean (and the std) out, ``trained`` gives what the weights were trained for.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn

from adbench_harness.api import Json, WeightsError, file_sha256

Kind = Literal["imagenet", "imagenet-features", "random"]
Input = Literal["plain", "trained"]

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
        """What a run keeps about its teacher; the study's was IMAGENET1K_V1, fed as the public code feeds it."""
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


def pretrained(teacher: Kind | Path, stated: Kind | None = None) -> Weights:
    """ImageNet weights by torchvision, or from a state dict in a file (the whole network, or its ``features`` alone).

    Raises:
        WeightsError: if the download fails, or the file holds another network, or its kind can't be told and is not stated.
    """
    if isinstance(teacher, Path):
        tensors = _convolutions(_read(teacher), str(teacher))
        return Weights(_kind_of(teacher, tensors, stated), values_sha256(tensors), tensors)
    tensors = _convolutions(_download(teacher), teacher)
    return Weights(teacher, values_sha256(tensors), tensors)


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


def values_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the values of all tensors in order, as float32."""
    digest = hashlib.sha256()
    for tensor in tensors.values():
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _download(kind: Kind) -> Mapping[str, Any]:
    from torchvision.models import VGG16_Weights  # 3 s to import, so only where it is needed

    weights = VGG16_Weights.IMAGENET1K_V1 if kind == "imagenet" else VGG16_Weights.IMAGENET1K_FEATURES
    target = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    try:
        state: Mapping[str, Any] = weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(
            f"cannot get VGG-16 weights {kind!r} from {weights.url} ({reason}); with no network, put that file at {target}, "
            "or give a state dict with --set teacher=/path/to/vgg16.pth"
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


def _kind_of(path: Path, tensors: Mapping[str, Tensor], stated: Kind | None) -> Kind:
    if stated is not None:
        return stated
    first = tensors["features.0.bias"][: len(CAFFE_FIRST_BIASES)].double()
    if torch.allclose(first, torch.tensor(CAFFE_FIRST_BIASES, dtype=torch.float64), atol=1e-5):
        return "imagenet-features"
    if file_sha256(path).startswith(V1_FILE_SHA256):
        return "imagenet"
    raise WeightsError(
        f"{path}: these are neither torchvision's IMAGENET1K_V1 file nor the Caffe weights, so the input they were trained for is "
        "unknown; say it with --set teacher_kind=imagenet (plain [0, 1]) or --set teacher_kind=imagenet-features"
    )
