"""The command line: a few lines a command, no logic, and nothing heavy imported early."""

from deepset_bench.cli.entry import app, main

__all__ = ["app", "main"]
