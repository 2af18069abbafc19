"""All rules, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checks import Check
    from .dataset_subject import DatasetSubject
    from .subject import ModelSubject


def model_checks() -> list[Check[ModelSubject]]:
    """All checks of a model, in order."""
    from .conduct_checks import CONDUCT
    from .model_checks import CHECKS  # needs scikit-learn, which no dataset does

    return [*CHECKS.listed, *CONDUCT.listed]


def dataset_checks() -> list[Check[DatasetSubject]]:
    """All checks of a dataset, in order."""
    from .dataset_checks import CHECKS
    from .dataset_conduct_checks import CONDUCT
    from .dataset_file_checks import FILES

    return [*CHECKS.listed, *FILES.listed, *CONDUCT.listed]
