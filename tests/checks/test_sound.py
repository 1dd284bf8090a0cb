"""Molecules of every kind, whose geometries and names give no reason for alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deepset_bench.checks import bonded_elements as elements
from deepset_bench.checks import configuration, duplicates, identity, intact, kinds, path
from deepset_bench.checks.cheap import examine
from deepset_bench.checks.subject import Subject
from deepset_bench.molecules.smiles import read_smiles
from tests.checks.cases import of_smiles, permuted

CHECKS = (
    intact.broken,
    intact.connectivity,
    kinds.one_molecule,
    kinds.one_charge,
    duplicates.duplicates,
    duplicates.near_duplicates,
    elements.elements,
    identity.identity,
    configuration.configuration,
    path.on_one_path,
)
LINEAR = ["N#N", "[C-]#[O+]", "C#N", "C#C", "O=C=O", "[H][H]", "F", "[N-]=[N+]=O", "C#CC#C"]
IONS = ["[NH4+]", "[OH3+]", "[OH-]", "CC(=O)[O-]", "[CH3+]", "F[B-](F)(F)F", "NC=[NH2+]", "[C-]#N"]
RADICALS = ["[CH3]", "[OH]", "[N]=O", "[O]N=O", "[O][O]", "[CH2]", "C[O]"]
PAIRS = ["O.O", "F.F", "C.O", "N.O", "O=CO.O=CO", "[NH4+].O", "[H][H].[H][H]"]
ORGANIC = [
    "CC(=O)Oc1ccccc1C(=O)O", "[NH3+]CC(=O)[O-]", "O=CC=CO", "CS(C)=O", "OS(=O)(=O)O",
    "C[N+](=O)[O-]", "C=[N+]=[N-]", "C12C3C4C1C5C2C3C45", "CSSC", "ClC(Cl)Cl", "BrCCBr", "CI",
    "C[Si](C)(C)C", "CP(C)C", "CB(C)C", "C/C=C\\C", "c1ccc(cc1)N=Nc1ccccc1",
]  # fmt: skip


@pytest.mark.parametrize("smiles", LINEAR + IONS + RADICALS + PAIRS + ORGANIC)
def test_no_alarm(smiles: str) -> None:
    formula = read_smiles(smiles)
    # What is stated is what a SMILES string implies: nothing, for most of them.
    for noise, n_frames, words in ((0.02, 1, None), (0.05, 40, smiles), (0.05, 30, None)):
        frames = of_smiles(smiles, n_frames, noise)
        said = replace(
            frames,
            energy=np.random.default_rng(0).normal(size=n_frames),
            charge=np.full(n_frames, formula.charge),
            spin=np.full(n_frames, formula.spin if smiles in RADICALS else 0),
        )
        for set_of_frames in (said, permuted(said, 1)):
            findings = examine(Subject(set_of_frames, "run-1", smiles=words), CHECKS)
            assert {f.check: f.text for f in findings if f.verdict in ("suspect", "defect")} == {}
