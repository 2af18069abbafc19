"""All that a plugin author reads; imports nothing else of adbench, and no torch."""

from .dataset import NORMAL, Box, DatasetSpec, Edition, ManifestEntry, Sample
from .errors import (
    AdbenchError,
    ArchiveError,
    DataError,
    InterruptedRunError,
    NotImportedError,
    OptionError,
    PluginError,
    StoreError,
    TrainingError,
    UnknownNameError,
    WeightsError,
)
from .hookspecs import API_VERSION, hookimpl
from .model import BuildContext, Detector, FitContext, FittedDetector, Images, ModelSpec, Phase, Step, TrainedDetector
from .options import Json, Options, file_sha256
from .protocol import EvaluationRules, FitRules, ProtocolSpec, Subset, hash_order

__all__ = [
    "API_VERSION",
    "NORMAL",
    "AdbenchError",
    "ArchiveError",
    "Box",
    "BuildContext",
    "DataError",
    "DatasetSpec",
    "Detector",
    "Edition",
    "EvaluationRules",
    "FitContext",
    "FitRules",
    "FittedDetector",
    "Images",
    "InterruptedRunError",
    "Json",
    "ManifestEntry",
    "ModelSpec",
    "NotImportedError",
    "OptionError",
    "Options",
    "Phase",
    "PluginError",
    "ProtocolSpec",
    "Sample",
    "Step",
    "StoreError",
    "Subset",
    "TrainedDetector",
    "TrainingError",
    "UnknownNameError",
    "WeightsError",
    "file_sha256",
    "hash_order",
    "hookimpl",
]
