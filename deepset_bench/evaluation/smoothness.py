"""A metric of a trained potential along the scans: the largest jump of a force."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.paths import KINDS, Path, path, starting_molecule
from deepset_bench.evaluation.scans import scan
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric


@metric("force_jump", unit="eV/angstrom", of="potential")
def force_jump(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """The largest jump of a component of a force along the scans of torsion, bond and pair.

    Zero where none is 0.001 eV/angstrom or more. The scans are the standard ones, as in `bench
    evaluate RUN scan=torsion,bond,pair`, of the first molecule of the run's set: the rotation about
    its double bond, its double bond stretched, two of it moved apart. A molecule without such a
    bond has the last one alone. In float64.
    """
    assert run.folder is not None, "measured of a run that is done"
    device = "cpu" if run.config.device == "auto" else run.config.device  # MPS has no float64
    molecule = starting_molecule(catalogue.load(run.config.data.name))
    paths = []
    for kind in KINDS:
        with suppress(UserError):  # no such bond
            paths.append(path(kind, molecule, run.config.cutoff))
    return largest(Ensemble([run.folder], device, "float64"), paths)


def largest(ensemble: Ensemble, paths: Iterable[Path]) -> float:
    """The largest jump of a force of one run, in eV/angstrom."""
    breaks = [one for along in paths for one in scan("", ensemble, along).breaks]
    return max((one.force for one in breaks), default=0.0)
