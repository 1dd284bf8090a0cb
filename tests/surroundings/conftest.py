"""Users, folders and files that several of these tests have."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from tests import toy
from tests.surroundings.processes import STRANGER


@pytest.fixture
def stranger() -> tuple[str, ...]:
    """What runs a command as a user whom the system does not know, with no right to write here."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become a user whom the system does not know (setpriv)")
    user = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    reading = "+dac_read_search"  # this interpreter may lie in root's own folder
    prefix = ("setpriv", *user, "--inh-caps", reading, "--ambient-caps", reading)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this container does not let root hand on the right to read")
    return prefix


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others may look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def own(public) -> Path:
    """A file of 60 frames of C3H6."""
    frames, images = toy.frames(3, 60), []
    for n, rows in enumerate(np.split(np.arange(len(frames.numbers)), len(frames))):
        atoms = Atoms(frames.numbers[rows], frames.positions[rows])
        labels = {"energy": frames.energy[n], "forces": frames.forces[rows]}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    write(public / "own.xyz", images)
    return public / "own.xyz"
