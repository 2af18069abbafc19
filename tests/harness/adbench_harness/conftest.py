from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from adbench_harness.api import FitContext, FitRules, Images, Phase, Step, TrainedDetector
from adbench_harness.checkpoint import CheckpointFile
from adbench_harness.device import describe
from adbench_harness.home import Home, Results
from adbench_harness.manifest import Cell, Manifest
from adbench_harness.plan import RunRequest, plan
from adbench_harness.result import CurvePoint, Scores, write_run
from adbench_harness.runner import Conditions, run_one
from adbench_harness.training import Training

CPU = torch.device("cpu")
RULES = FitRules(batch_size=4, image_size=16)

MakeRun = Callable[..., Manifest]
Make = Callable[..., Training]


DETECTOR = """
import os, signal, time
import torch
from pydantic import Field
from adbench_harness.api import FittedDetector, ModelSpec, Options, hookimpl

adbench_api = 1
{top}

class Own(Options):
    way: str = Field("", description="what a test wants of it")

class Detector(FittedDetector):
    def __init__(self, options, context): self.way = options.way
    def fit(self, images, context): pass
    def score(self, images): return images.flatten(1).mean(dim=1)
    def state(self): return {{}}
    def load(self, state): pass
    def parameters(self): return 0

{methods}

@hookimpl
def register_models(register):
    register(ModelSpec(
        name="{name}", title="T", build=Detector, paper="none", url="", family="other", description="d", training_phase="t",
        testing_phase="t", score="s", options=Own, revision=1))
"""


@pytest.fixture
def fake_detector(fake_distribution: Any) -> Callable[..., None]:
    """Installs a detector that scores by brightness: fake(name, top=source before it, fit=source of the method, ...)."""

    def install(name: str, top: str = "", **methods: str) -> None:
        own = "".join(
            f"def {method}(self, {'images, context' if method == 'fit' else 'images'}):\n{indent(source, '    ')}\nDetector.{method} = {method}\n"
            for method, source in methods.items()
        )
        fake_distribution(name, "1.0", {name: DETECTOR.format(name=name, top=top, methods=own)}, {"adbench.models": {name: name}})

    return install


@pytest.fixture
def make_manifest() -> Callable[..., Manifest]:
    def make(run_id: str = "pca-made-0001", **changes: Any) -> Manifest:
        plain: dict[str, Any] = {
            "run_id": run_id,
            "cell": Cell(model="pca", options={"grid": 64}, dataset="made", protocol="p", fit_digest="f" * 16, split=0, seed=0),
            "variant": "pca",
            "command": "adbench run --model pca --dataset made",
            "created": "2026-01-02T03:04:05Z",
            "protocol": {
                "name": "p",
                "version": 1,
                "evaluation": {"thresholds": ["youden"]},
                "evaluation_digest": "e",
                "overrides": {},
            },
            "dataset": {"title": "Made", "fingerprint": "d" * 16, "tasks": {"spots": ["spot"]}},
            "model": {"title": "PCA", "parameters": 10},
            "plugins": {},
            "compute": {"device": "cpu", "device_name": "a CPU", "threads": 2},
            "environment": {},
            "timings": {"train": 1.5, "score": 0.5},
            "training": {"images": 3},
            "files": {},
        }
        return Manifest(**{**plain, **changes})

    return make


@pytest.fixture
def scores() -> Scores:
    return Scores(
        image=["n1", "n2", "a1", "a2"],
        label=np.array([0, 0, 1, 1], dtype=np.int8),
        subtype=["normal", "normal", "spot", "blot"],
        group=["g1", None, "g2", "g2"],
        subset=["test"] * 4,
        score=np.array([0.1, 0.4, 0.35, 0.8]),
    )


@pytest.fixture
def make_run(results: Any, make_manifest: Callable[..., Manifest], scores: Scores) -> MakeRun:
    """Writes a run folder into the results folder."""

    def make(run_id: str = "pca-made-0001", **changes: Any) -> Manifest:
        manifest = make_manifest(run_id, **changes)
        write_run(results.runs, manifest, scores, [CurvePoint("fit", 0, "loss", 0.5)], None)
        return manifest

    return make


class Noise:
    """Ten images of noise."""

    def __init__(self, count: int = 10) -> None:
        self.pixels = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]


class Recorder(TrainedDetector):
    """Notes what each step was given; its two phases have weights, an optimiser with state, dropout and noise."""

    def __init__(
        self,
        epochs: int = 3,
        drop_last: bool = False,
        bad_epoch: int | None = None,
        shares: tuple[float, float] = (0.5, 0.5),
    ) -> None:
        self.epochs, self.drop_last, self.bad_epoch, self.shares = epochs, drop_last, bad_epoch, shares
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Linear(64, 4), torch.nn.Linear(64, 4)
        self.steps: list[tuple[str, int, int, list[int]]] = []

    def phases(self, images: Images, context: FitContext) -> Iterator[Phase]:
        yield self._phase("first", self.first)
        with torch.no_grad():  # the second phase needs what the first has trained
            self.second.weight.copy_(self.first.weight * 2)
        yield self._phase("second", self.second)

    def _phase(self, name: str, layer: torch.nn.Linear) -> Phase:
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)

        def step(batch: Step) -> Mapping[str, Tensor]:
            self.steps.append((name, batch.epoch, batch.index, batch.indices.tolist()))
            x = batch.images.flatten(1)
            noise = torch.rand(len(x), 4, generator=batch.generator)
            loss = (torch.dropout(layer(x), 0.5, train=True) - noise).square().mean()
            if self.bad_epoch == batch.epoch:
                loss = loss * torch.nan
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss.detach()}

        share = self.shares[layer is self.second]
        return Phase(name, {name: layer}, {name: optimiser}, self.epochs, step, self.drop_last, share=share)

    def score(self, images: Tensor) -> Tensor:
        scores: Tensor = self.second(images.flatten(1)).sum(dim=1)
        return scores

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.second.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None: ...


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(**changes: Any) -> Training:
        file = CheckpointFile(tmp_path / "running" / "checkpoint.pt", describe(CPU, "float32"))
        plain: dict[str, Any] = {"images": Noise(), "rules": RULES, "seed": 1, "device": CPU, "checkpoint": file}
        return Training(**{**plain, **changes})

    return made


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def noise() -> type[Noise]:
    return Noise


@dataclass(frozen=True)
class Trained:
    """A run of PCA on a folder of images, with held-out scores, weights and pictures; not to be changed."""

    results: Results
    home: Home
    folder: Path
    """The run's."""
    images: Path
    """The dataset's folder: an image's id is its path below."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")
    for number in range(60):
        random = np.random.default_rng(number)
        pixels = np.outer(np.arange(24), random.integers(1, 4, 24)) + random.integers(60, 90, (24, 24))
        if number >= 45:
            row, column = random.integers(0, 18, 2)
            pixels[row : row + 6, column : column + 6] += 60
        path = root / "own" / ("abnormal" if number >= 45 else "normal") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    home, results = Home(root / "home"), Results(root / "results")
    settings = {"image_size": "16", "components": "6", "grid": "8"}
    request = RunRequest("pca", f"folder:{root / 'own'}", "adbench-v1", device="cpu", settings=settings)
    outcome = run_one(plan(request, home), Conditions(home, results))
    return Trained(results, home, outcome.folder, root / "own")
