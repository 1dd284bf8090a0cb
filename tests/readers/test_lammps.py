"""LAMMPS dumps: elements are in them or are said, never guessed; energies never."""

import numpy as np
import pytest
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.errors import UserError
from tests.readers.dialects import FORCES, PLACES, WATER, M, read_file

ORDER = [2, 0, 1]  # a dump has its atoms in any order


def dump(columns: str = "id element x y z fx fy fz", box: str = "ff ff ff", units: str = "") -> str:
    """Four frames of water, atoms in the order that LAMMPS happens to have."""
    types = {"O": 1, "H": 2}
    out = []
    for m, (place, force) in enumerate(zip(PLACES, FORCES, strict=True)):
        out += [f"ITEM: UNITS\n{units}"] * bool(units)
        out += [f"ITEM: TIMESTEP\n{10 * m}", "ITEM: NUMBER OF ATOMS\n3"]
        out += [f"ITEM: BOX BOUNDS {box}\n-10 10\n-10 10\n-10 10", f"ITEM: ATOMS {columns}"]
        for a in ORDER:
            words = {"id": a + 1, "element": WATER[a], "type": types[WATER[a]], "mass": 1.0}
            words |= dict(zip(("x", "y", "z"), place[a], strict=True))
            words |= dict(zip(("xu", "yu", "zu"), place[a], strict=True))
            words |= dict(zip(("fx", "fy", "fz"), force[a], strict=True))
            out.append(" ".join(str(words[column]) for column in columns.split()))
    return "\n".join(out) + "\n"


def read(folder, text, **options):
    path = folder / "water.any"
    path.write_text(text)
    return read_file(path, "water", **options)


@pytest.mark.parametrize(
    "columns", ["id type x y z fx fy fz", "id type mass x y z", "type xu yu zu"]
)
def test_types_are_no_elements(tmp_path, columns):
    for unlabelled in (False, True):
        with pytest.raises(UserError, match=r"frame 1, line 9: names no elements.*no energies"):
            read(tmp_path, dump(columns), unlabelled=unlabelled)
    with pytest.raises(UserError, match="does not say which element type 2 is"):
        read(tmp_path, dump(columns), elements="1=O")


def test_elements_are_read_and_energies_missed(tmp_path):
    with pytest.raises(
        UserError, match=r"frame 1, line 9: has no 'energy', as .*; compute .*--rel"
    ):
        read(tmp_path, dump())
    periodic = dump(box="pp pp pp")
    with pytest.raises(UserError, match=r"frame 1, line 9: has no 'energy'.*isolated, ff ff ff"):
        read(tmp_path, periodic)
    frames = read(tmp_path, dump(), unlabelled=True)
    assert frames.numbers.tolist() == [8, 1, 1] * M
    np.testing.assert_array_equal(frames.positions, PLACES.reshape(-1, 3))
    assert not frames.forces.any()
    said = read(tmp_path, dump("id type xu yu zu"), unlabelled=True, elements="1=O,2=H")
    np.testing.assert_array_equal(said.positions, frames.positions)
    np.testing.assert_array_equal(said.numbers, frames.numbers)
    part = read(tmp_path, dump(), unlabelled=True, frames="2-3")
    assert part.index.tolist() == [1, 2]


def test_lengths_of_atomic_units_are_converted(tmp_path):
    from ase.units import Bohr

    frames = read(tmp_path, dump(units="electron"), unlabelled=True)
    np.testing.assert_allclose(frames.positions, PLACES.reshape(-1, 3) * Bohr)
    with pytest.raises(UserError, match="is in units 'lj'; known: real"):
        read(tmp_path, dump(units="lj"), unlabelled=True)


TEXT = dump()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (dump(box=""), "frame 1, line 9: BOX BOUNDS does not say whether the box is periodic"),
        (dump(box="xy xz yz pp pp pp"), "frame 1, line 9: expected three lines of 3 numbers"),
        (dump("id element fx fy fz"), "has no columns x y z"),
        (TEXT[:-60], "frame 4, line 47"),
        (TEXT.replace("ITEM: TIMESTEP\n20", "20"), "frame 3, line 25: expected 'ITEM"),
        (TEXT.replace("ATOMS\n3\n", "ATOMS\n4\n", 1), "frame 1, line 13"),
        (TEXT.replace("ATOMS\n3\n", "ATOMS\nthree\n", 1), "frame 1, line 9: no NUMBER"),
        (TEXT + "ITEM: TIMESTEP\n40\n", "frame 5, line 50: the file ends"),
        (TEXT.replace(" H ", " Qq ", 1), "frame 1, line 10: unknown element symbol 'Qq'"),
        (TEXT.replace("1 O 0.0", "1 O zero", 1), "frame 1, line 11: 'zero' is not"),
    ],
)
def test_damage_is_one_line(tmp_path, text, expected):
    with pytest.raises(UserError, match=expected):
        read(tmp_path, text, unlabelled=True)


def test_periodic_frames_are_not_relabelled(tmp_path):
    path = tmp_path / "water.dump"
    path.write_text(dump() + dump(box="pp pp pp"))
    bench = CliRunner().invoke(app, ["import", "water", str(path), "--relabel", "gfn1"])
    message = str(bench.exception)
    assert message.startswith(f"{path}: frame 5: is periodic, and GFN-xTB")
    assert "ff ff ff" in message
    assert "labels ━" not in bench.output
