"""Trained potentials as an ASE calculator: one run, or several seeds with their disagreement.

from deepset_bench.calculator import DeepSetCalculator
atoms.calc = DeepSetCalculator("runs/but-2-ene/corrected/baseline/seed-0")
"""

from __future__ import annotations

from deepset_bench.evaluation.ase_calculator import CHARGE, PROPERTIES, SPIN, DeepSetCalculator

__all__ = ["CHARGE", "PROPERTIES", "SPIN", "DeepSetCalculator"]
