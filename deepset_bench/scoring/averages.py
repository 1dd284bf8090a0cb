"""The two averages of errors that everything is measured by."""

from __future__ import annotations

import math

import numpy as np

from deepset_bench.molecules.frames import FloatArray


def mean_absolute(errors: FloatArray) -> float:
    """Of any number of them, in their unit; NaN of none."""
    return float(np.abs(errors).mean()) if errors.size else math.nan


def root_mean_square(errors: FloatArray) -> float:
    """Likewise."""
    return float(np.sqrt((errors**2).mean())) if errors.size else math.nan
