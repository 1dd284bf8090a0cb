"""Users, folders and files that several of these tests have."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import toy
from tests.surroundings.processes import AS_STRANGER, can_run


@pytest.fixture
def stranger() -> tuple[str, ...]:
    """What runs a command as a user whom the system does not know, with no right to write here."""
    if not can_run(AS_STRANGER):
        pytest.skip("only root can become another user (setpriv), and not in every container")
    return AS_STRANGER


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others may look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def own(public) -> Path:
    """A file of 60 frames of C3H6."""
    toy.write(public / "own.xyz", toy.frames(3, 60))
    return public / "own.xyz"
