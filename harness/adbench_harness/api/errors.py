"""Every error that adbench raises on purpose.

AdbenchError
├── PluginError            a plugin is unknown, broken, ambiguous or written for another API
│   └── UnknownNameError   no model, dataset or protocol of that name
├── OptionError            an option is unknown or its value is out of range
├── DataError              data is missing, corrupt or not what it claims to be
│   ├── NotImportedError   the dataset is not on this machine yet
│   └── ArchiveError       an archive holds what must not be unpacked
├── WeightsError           pretrained weights can't be had, or are of another network
├── TrainingError          training or scoring failed (non-finite loss, constant scores, out of memory)
├── BusyRunError           another process makes the run
├── InterruptedRunError    stopped by a signal; a checkpoint is kept
├── TimeLimitError         stopped at its time limit; a checkpoint is kept
└── StoreError             a run folder or the database can't be read or written

Each message says what was wrong, where, and what to do. The command line prints it on one line, without a traceback.
"""

from __future__ import annotations


class AdbenchError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 1


class PluginError(AdbenchError):
    """A plugin is broken, ambiguous or written for another API version."""


class UnknownNameError(PluginError):
    """No plugin of that kind and name is installed."""

    exit_code = 2


class OptionError(AdbenchError):
    """An option is unknown, or its value can't be used."""

    exit_code = 2


class DataError(AdbenchError):
    """Data is missing, corrupt or not what it claims to be."""


class NotImportedError(DataError):
    """The dataset's files are not on this machine; the message holds the command that brings them."""


class ArchiveError(DataError):
    """An archive has a member that must not be unpacked (absolute path, "..", link, device, too large)."""


class WeightsError(AdbenchError):
    """Pretrained weights can't be had, or do not fit the network."""


class TrainingError(AdbenchError):
    """Training or scoring failed; the message names phase, epoch and the last finite values."""


class BusyRunError(AdbenchError):
    """Another process makes the run just now."""


class InterruptedRunError(AdbenchError):
    """The run was stopped by a signal; its checkpoint is kept and the same command goes on."""

    exit_code = 130


class TimeLimitError(AdbenchError):
    """The run took longer than it was allowed to; what its checkpoint holds is kept and the same command goes on."""

    exit_code = 124  # as timeout(1)


class StoreError(AdbenchError):
    """A run folder or the database can't be read or written."""
