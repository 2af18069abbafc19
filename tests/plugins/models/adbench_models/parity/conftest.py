"""Vectors that the public implementations gave, and the means to compare a detector with them.

A file of vectors is JSON (or gzipped JSON). It says in words how weights, input and summaries are made from one seed; this
module does what those words say.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SHIPPED = Path(__file__).parents[4] / "data" / "parity"

DETECTORS = {"f_anogan": "f-AnoGAN", "ganomaly": "GANomaly", "multikd": "Multi-KD"}
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}


class Vectors:
    """One file of vectors."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.seed: int = content["seed"]
        self.size: int = content["image_size"]

    def __getitem__(self, name: str) -> Any:
        return self.content[name]

    def unit(self, channels: int = 3) -> Tensor:
        """The image batch in [0, 1], float64."""
        size = self.size
        u = self.random(1000).random((4, 3, size, size))
        phi = self.random(1001).random(4)[:, None, None, None] * 2 * np.pi
        b, c, i, j = np.ogrid[:4, :3, :size, :size]
        wave = np.sin(2 * np.pi * (b + 1) * (i + 0.5) / size + c * np.pi / 3 + phi) * np.cos(
            2 * np.pi * (b + 2) * (j + 0.5) / size
        )
        return torch.from_numpy(np.clip(0.5 + 0.3 * wave + 0.2 * (u - 0.5), 0, 1))[:, :channels]

    def symmetric(self, channels: int = 3) -> Tensor:
        """The image batch in [-1, 1], float64."""
        return 2 * self.unit(channels) - 1

    def tensors(self, channels: int) -> list[dict[str, Any]]:
        """The table of parameters for a number of image channels."""
        rows: list[dict[str, Any]] = self["fill"]["tensors"]
        changed = {row["k"]: row for row in self["channels1"]["tensors_that_differ"]} if channels == 1 else {}
        return [changed.get(row["k"], row) for row in rows]

    def random(self, offset: int) -> np.random.Generator:
        return np.random.default_rng(self.seed + offset)

    def fill(self, networks: Sequence[nn.Module], tensors: Sequence[Mapping[str, Any]]) -> None:
        """Give the networks, in this order, the weights and running statistics that the vectors were made with."""
        parameters = [parameter for network in networks for parameter in network.parameters()]
        assert [list(parameter.shape) for parameter in parameters] == [row["shape"] for row in tensors]
        with torch.no_grad():
            for parameter, row in zip(parameters, tensors, strict=True):
                noise = self.random(row["k"]).standard_normal(row["shape"])
                parameter.copy_(torch.from_numpy(row["offset"] + row["std"] * noise))
            for norm in (layer for network in networks for layer in batch_norms(network)):
                channel = torch.arange(1, norm.num_features + 1, dtype=torch.float64)
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.copy_(0.1 * torch.cos(channel))
                norm.running_var.copy_(1 + 0.5 * torch.sin(channel))


def length(network: nn.Module) -> float:
    """Euclidean length of all parameters together."""
    return float(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).norm())


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


class Check:
    """Compares with one record to one relative tolerance."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def values(self, actual: Any, expected: Any, scale: float = 0.0) -> None:
        """Numbers one by one; those that may come near zero are held to the tolerance times the scale they live on."""
        found, wanted = _array(actual), np.asarray(expected, dtype=np.float64)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=self.tolerance, atol=self.tolerance * scale)

    def summary(self, tensor: Tensor, expected: Mapping[str, Any]) -> None:
        """Shape, mean, std, first eight values, length of each sample, and a sum that feels the layout."""
        value = np.asarray(_array(tensor.reshape(expected["shape"])))
        flat, largest = value.reshape(-1), float(np.abs(value).max())
        self.values(flat.mean(), expected["mean"], scale=largest)
        self.values(flat.std(), expected["std"])
        self.values(flat[:8], expected["first8"], scale=largest)
        self.values(np.linalg.norm(value.reshape(len(value), -1), axis=1), expected["l2"])
        # Independent errors of the tolerance's size add up like a random walk.
        self.values(flat @ np.cos(np.arange(flat.size)), expected["dotcos"], scale=float(np.linalg.norm(flat)))

    def length(self, network: nn.Module, expected: float) -> None:
        """Euclidean length of all parameters together."""
        self.values(length(network), expected)

    def norms(self, network: nn.Module, expected: Sequence[Mapping[str, Any]]) -> None:
        """Running statistics and number of updates of each batch normalisation."""
        found = batch_norms(network)
        assert [norm.num_features for norm in found] == [row["C"] for row in expected]
        for norm, row in zip(found, expected, strict=True):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            self.values(norm.running_mean[:4], row["running_mean_first4"], scale=float(norm.running_mean.abs().max()))
            self.values(norm.running_var[:4], row["running_var_first4"])
            self.values(norm.running_mean.double().sum(), row["running_mean_sum"], scale=float(norm.running_mean.double().norm()))
            self.values(norm.running_var.double().sum(), row["running_var_sum"])
            assert norm.num_batches_tracked is not None
            assert int(norm.num_batches_tracked) == row["updates"]


def _array(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values.detach().double().contiguous().numpy()
    return (
        np.asarray([float(value) for value in values]) if isinstance(values, Sequence) else np.asarray(values, dtype=np.float64)
    )


@pytest.fixture
def vectors(request: pytest.FixtureRequest) -> Vectors:
    """The vectors of the detector that the test module is about."""
    return Vectors(_read(request.param))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each file of the folder that holds vectors of the module's detector."""
    if "vectors" in metafunc.fixturenames:
        folder = Path(metafunc.config.getoption("parity_dir") or SHIPPED)
        detector = DETECTORS[metafunc.module.__name__.rpartition("test_")[2]]
        found = [path for path in _files(folder) if _read(path).get("detector") == detector]
        if not found:
            found = [pytest.param(folder, marks=pytest.mark.skip(f"no vectors of {detector} in {folder}"))]  # type: ignore[list-item]
        metafunc.parametrize("vectors", found, indirect=True, ids=[getattr(path, "name", "none") for path in found])


def _files(folder: Path) -> Iterator[Path]:
    found = sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")])
    if not found:
        raise pytest.UsageError(f"--parity-dir {folder}: no such folder, or no vectors (*.json, *.json.gz) in it")
    yield from found


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    return content


@pytest.fixture(params=["float64", "float32"])
def precision(request: pytest.FixtureRequest) -> str:
    """The arithmetic of a test, where a module's test asks for it."""
    return str(request.param)


@pytest.fixture
def record(vectors: Vectors) -> Callable[[str, int], dict[str, Any]]:
    """The record of a precision and a number of channels; skips where the file has none."""

    def found(precision: str, channels: int) -> dict[str, Any]:
        content: dict[str, Any] | None = vectors[precision] if channels == 3 else vectors["channels1"].get(precision)
        if content is None:
            pytest.skip(f"no {precision} record for {channels} channel(s)")
        return content

    return found


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Check:
    """Compares to the tolerance of the test's precision; what has none is float64."""
    return Check(TOLERANCE[request.getfixturevalue("precision") if "precision" in request.fixturenames else "float64"])
