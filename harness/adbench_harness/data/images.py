"""Prepared images on the run's device: batches are index lookups, scaled to [0, 1] there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .prepare import Prepared


class DeviceImages:
    """Chosen rows of prepared images as uint8 (N, C, H, W) on a device, in a given order."""

    def __init__(self, prepared: Prepared, ids: Sequence[str], device: torch.device, dtype: torch.dtype) -> None:
        rows = np.fromiter((prepared.rows[sample_id] for sample_id in ids), dtype=np.int64, count=len(ids))
        pixels = torch.from_numpy(np.ascontiguousarray(prepared.pixels[rows].transpose(0, 3, 1, 2)))
        self.device = device
        self.dtype = dtype
        self._pixels = pixels.to(device) if _fits(pixels.nbytes, device) else pixels

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._pixels)

    @property
    def channels(self) -> int:
        """Colour channels, 1 or 3."""
        return self._pixels.shape[1]

    def batch(self, indices: Tensor) -> Tensor:
        """Images at ``indices`` (int64, (B,)) as float (B, C, H, W) in [0, 1]."""
        chosen = self._pixels[indices.to(self._pixels.device)]
        return chosen.to(self.device, non_blocking=True).to(self.dtype).div_(255)


def _fits(size: int, device: torch.device) -> bool:
    """Whether a set may live on the device for the whole run: a GPU keeps half of its free memory for the networks."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size < free // 2
