"""The study's figures beside ours: what stored runs say of each published cell, and which runs are missing.

The study's split, seeds and lengths of training are not known, so a figure of the study that lies in our interval is all that a
reproduction can have.
"""

from .comparison import FIGURES, Missing, OutsideRow, Row, compare, missing, outside
from .estimate import Estimate
from .making import obstacle
from .series import PROTOCOL, Mark, Series, series_of, stored_runs

__all__ = [
    "FIGURES",
    "PROTOCOL",
    "Estimate",
    "Mark",
    "Missing",
    "OutsideRow",
    "Row",
    "Series",
    "compare",
    "missing",
    "obstacle",
    "outside",
    "series_of",
    "stored_runs",
]
