"""The new process of the check ``reload``: builds the detector, takes over the stored weights, and scores.

``python -m adbench_harness.conformance.reload FOLDER``; the folder holds request.json, weights.safetensors and images.npy, and gets
scores.npy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from .. import registry
from .subject import ModelSubject


def main(folder: Path) -> None:
    """Score the images of the folder."""
    request = json.loads((folder / "request.json").read_text())
    plugin = registry.model(request["model"])
    options = plugin.spec.options.parse(request["settings"])
    device = torch.device(request["device"])
    subject = ModelSubject(plugin, options, request["settings"], device, folder, request["image_size"])
    detector = subject.build()
    detector.load(load_file(folder / "weights.safetensors", device=str(device)))
    scores = subject.scores(detector, torch.from_numpy(np.load(folder / "images.npy")))
    np.save(folder / "scores.npy", scores)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
