"""The whole plugin surface: three hooks, one for each kind of plugin.

An entry point names one module; the module implements one of these hooks and registers one spec whose name is the entry
point's. The groups are ``adbench.models``, ``adbench.datasets``, ``adbench.protocols`` and ``adbench.executors``. The module states
``adbench_api = 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pluggy

from .dataset import DatasetSpec
from .executor import ExecutorSpec
from .model import ModelSpec
from .protocol import ProtocolSpec

API_VERSION: Final = 1

hookspec: Final = pluggy.HookspecMarker("adbench")
hookimpl: Final = pluggy.HookimplMarker("adbench")


@hookspec
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register an anomaly detector."""


@hookspec
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register a dataset."""


@hookspec
def register_protocols(register: Callable[[ProtocolSpec], None]) -> None:
    """Register an evaluation protocol."""


@hookspec
def register_executors(register: Callable[[ExecutorSpec], None]) -> None:
    """Register a way to carry out runs."""
