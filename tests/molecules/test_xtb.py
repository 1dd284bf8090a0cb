"""Single points: gradients, units, relabelling, failures in one line."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.molecules import xtb
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.xtb import XTB, relabel
from tests import toy

pytest.importorskip("tblite")

WATER = np.array([8, 1, 1])
GEOMETRY = np.array([[0.0, 0.0, 0.1], [0.8, 0.0, -0.5], [-0.75, 0.1, -0.45]])


def water(**labels: object) -> Frames:
    shifted = GEOMETRY + np.diag([0.02, 0.03, 0.0])
    arrays: dict = {
        "numbers": np.tile(WATER, 2),
        "positions": np.concatenate([GEOMETRY, shifted]),
        "n_atoms": np.array([3, 3]),
        "energy": np.zeros(2),
        "forces": np.zeros((6, 3)),
        "bias_forces": None,
        "molecule": np.array(["water", "water"]),
        "index": np.array([7, 8]),
    }
    return Frames(**{**arrays, **labels})


@pytest.mark.parametrize(("method", "hartree"), [("gfn1", -5.77), ("gfn2", -5.07)])
def test_energy_is_in_ev(method: str, hartree: float) -> None:
    energy, _ = XTB(WATER, method)(GEOMETRY)
    assert energy / 27.211386 == pytest.approx(hartree, abs=0.02)


@pytest.mark.parametrize("electronic_temperature", [300.0, 5000.0])
def test_forces_are_the_negative_gradient(electronic_temperature: float) -> None:
    potential = XTB(WATER, "gfn1", electronic_temperature)
    forces = potential(GEOMETRY)[1]
    step = 1e-3
    for atom, axis in [(0, 2), (1, 0), (2, 1)]:
        shift = np.zeros((3, 3))
        shift[atom, axis] = step
        slope = (potential(GEOMETRY + shift)[0] - potential(GEOMETRY - shift)[0]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=2e-4)


def test_a_label_does_not_depend_on_the_frame_before() -> None:
    potential = XTB(WATER)
    first = potential(GEOMETRY)
    potential(GEOMETRY * 1.1)
    again = potential(GEOMETRY)
    assert again[0] == first[0]
    assert np.array_equal(again[1], first[1])


def test_relabel_separates_bias_from_potential() -> None:
    pure = relabel(water())
    bias = np.arange(18.0).reshape(6, 3)
    seen = []
    parts = relabel(water(forces=pure.forces + bias), progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    assert np.array_equal(parts.energy, pure.energy)
    assert np.array_equal(parts.forces, pure.forces)
    np.testing.assert_allclose(parts.bias_forces, bias, atol=1e-12)
    assert parts.index.tolist() == [7, 8]


def test_relabel_counts_a_known_bias_once() -> None:
    pure = relabel(water())
    bias = np.ones((6, 3))
    parts = relabel(water(forces=pure.forces, bias_forces=bias))
    np.testing.assert_allclose(parts.bias_forces, bias, atol=1e-12)


def test_a_set_of_many_molecules_takes_the_memory_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calculator is a tenth of a megabyte, and a set may hold 100,000 compositions."""
    alive: weakref.WeakSet[XTB] = weakref.WeakSet()
    most = 0

    class Counted(XTB):
        def __call__(self, positions):  # type: ignore[no-untyped-def]
            nonlocal most
            alive.add(self)
            most = max(most, len(alive))
            return super().__call__(positions)

    monkeypatch.setattr(xtb, "XTB", Counted)
    relabel(Frames.concatenate([toy.frames(n, 1) for n in (2, 3, 4, 2)]))
    assert most <= 2  # the next is made before the last is let go


def test_failure_names_molecule_and_frame() -> None:
    positions = water().positions.copy()
    positions[4] = positions[3]
    with pytest.raises(UserError, match=r"^water frame 8 \(.+\): GFN1-xTB did not converge[^\n]*$"):
        relabel(water(positions=positions))


def test_unknown_method_lists_the_known() -> None:
    with pytest.raises(UserError, match="gfn1"):
        XTB(WATER, "gfn3")


def test_missing_tblite_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tblite.interface", None)
    with pytest.raises(UserError, match=r"deepset-bench\[generate\]"):
        XTB(WATER)
