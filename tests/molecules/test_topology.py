"""First shells of known molecules."""

from __future__ import annotations

import numpy as np
import pytest

from deepset_bench.data import catalogue
from deepset_bench.molecules.topology import environments

METHYL, METHYLENE = "C4(C3,H1,H1,H1)", "C4(C3,C4,H1,H1)"
SHELLS = {
    "ethene": {"C3(C3,H1,H1)": 2, "H1(C3)": 4},
    "propene": {"C3(C3,H1,H1)": 1, "C3(C3,C4,H1)": 1, METHYL: 1, "H1(C3)": 3, "H1(C4)": 3},
    "trans-but-2-ene": {"C3(C3,C4,H1)": 2, METHYL: 2, "H1(C3)": 2, "H1(C4)": 6},
    "cis-pent-2-ene": {
        "C3(C3,C4,H1)": 2,
        METHYL: 1,
        METHYLENE: 1,
        "C4(C4,H1,H1,H1)": 1,
        "H1(C3)": 2,
        "H1(C4)": 8,
    },
    "isobutene": {"C3(C3,H1,H1)": 1, "C3(C3,C4,C4)": 1, METHYL: 2, "H1(C3)": 2, "H1(C4)": 6},
}


@pytest.mark.parametrize("name", SHELLS)
def test_shells(name):
    alkenes = catalogue.load("alkenes")
    frames = alkenes.select(np.flatnonzero(alkenes.molecule == name)[:3])
    found = environments(frames).reshape(3, -1)
    assert (found == found[0]).all()
    kinds, counts = np.unique(found[0], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == SHELLS[name]


def test_molecules_keep_their_places_in_a_mixed_set():
    alkenes = catalogue.load("alkenes")
    rows = [1000, 0, 2000, 1, 1001]
    mixed = environments(alkenes.select(rows))
    alone = [environments(alkenes.select([row])) for row in rows]
    np.testing.assert_array_equal(mixed, np.concatenate(alone))
