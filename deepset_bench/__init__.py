"""Ablations of DeepSet interatomic potentials, right, fast and finished by one command."""

__version__ = "0.2.0"
