"""`bench evaluate RUN... scan=torsion:0-1-2-3,bond:C-O,pair`: one table a path, one row a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from deepset_bench.config import experiment
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation import continuity
from deepset_bench.evaluation import printing as display
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.evaluation.paths import Path, path, starting_molecule
from deepset_bench.evaluation.results import place, write
from deepset_bench.evaluation.scans import GFN1, Curve, gfn1, scan
from deepset_bench.model.deepset.gate import DistanceGate
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.runs import RunFolder
from deepset_bench.units import UNITS

_MOST_CURVES = 2
_ROWS = 13


def show(
    console: Console,
    folders: Sequence[RunFolder],
    data: Sequence[str],
    device: str,
    kinds: Sequence[str],
    unit: str,
) -> None:
    """Scan every run along every path, print tables, write files into each run's folder.

    Args:
        console: to print on.
        folders: run folders, of any variants.
        data: at most `data=NAME`: whose molecule; by default the runs' own.
        device: `auto` is the CPU here: MPS has no float64.
        kinds: which paths, as `paths.path` takes them.
        unit: `hartree` or `mev`.

    Raises:
        UserError: an unknown kind, other overrides, a run or a molecule that cannot be used.
    """
    other = [text for text in data if not text.lstrip("+").startswith("data=")]
    if other:
        raise UserError(
            f"{other[0]}: beside scan= only data=NAME can be given, for the molecule of that set"
        )
    device = "cpu" if device == "auto" else device
    runs = [(folder, Ensemble([folder.path], device, "float64")) for folder in folders]
    own = {ensemble.members[0].config.data.name for _, ensemble in runs}
    if len(own) > 1 and not data:
        raise UserError(
            f"the runs were trained on {' and '.join(sorted(own))}; choose one with data=NAME"
        )
    name = experiment(data).config.data.name if data else min(own)
    molecule = starting_molecule(catalogue.load(name))
    temperature = float(catalogue.datasheet(name).get("electronic_temperature_kelvin", 300.0))
    # Every path before any work, so that a molecule without such a bond is told of at once.
    cutoffs = [ensemble.members[0].config.cutoff for _, ensemble in runs]
    paths = {kind: {c: path(kind, molecule, c) for c in cutoffs} for kind in kinds}
    for kind in kinds:
        _show_kind(console, runs, kind, paths[kind], temperature, unit)
    display.dim(
        console,
        f"jump: the energy changes by {continuity.ENERGY:.0e} eV or more over "
        f"{continuity.WIDTH:.0e} angstrom (degrees); cusp: a force alone does, by "
        f"{continuity.FORCE:.0e} eV/angstrom or more; largest, force: the largest of them; RMSD: "
        f"to {GFN1}, about the mean",
    )


def _show_kind(
    console: Console,
    runs: Sequence[tuple[RunFolder, Ensemble]],
    kind: str,
    paths: dict[float, Path],
    temperature: float,
    unit: str,
) -> None:
    references: dict[float, Curve] = {}
    for cutoff, along in paths.items():
        try:
            references[cutoff] = gfn1(along, temperature)
        except UserError as error:
            console.print(f"no {GFN1} beside it: {error}", soft_wrap=True)
            break
    console.print(Text.assemble((kind, "bold"), f": {along.title}"), soft_wrap=True)
    curves, kept = [], []
    for folder, ensemble in runs:
        cutoff = ensemble.members[0].config.cutoff
        where = folder.path.resolve()
        curve = scan(f"{where.parent.name}/{where.name}", ensemble, paths[cutoff])
        curves.append((curve, references.get(cutoff)))
        reference = references.get(cutoff)
        kept.append(_write(folder, ensemble, kind, paths[cutoff], curve, reference, temperature))
    if len(runs) <= _MOST_CURVES and len(paths) == 1:
        console.print(_curves([*references.values(), *(one for one, _ in curves)], along, unit))
    console.print(_summary(curves, list(references.values()), unit))
    for line in kept:
        console.print(line, soft_wrap=True)


def _curves(curves: Sequence[Curve], along: Path, unit: str) -> Table:
    """Energies at a few points of the path."""
    size, name, digits = UNITS[unit]["energy"]
    drawn = display.table(
        [f"t / {along.unit}", *(curve.label for curve in curves)],
        title=f"energies in {name} relative to the {'last' if along.from_end else 'lowest'}",
    )
    coarsest = min(curves, key=lambda curve: len(curve.t)).t
    for t in coarsest[np.linspace(0, len(coarsest) - 1, _ROWS).astype(int)]:
        energies = [curve.relative(along)[np.searchsorted(curve.t, t)] for curve in curves]
        drawn.add_row(f"{t:.2f}", *(display.number(e, size, digits) for e in energies))
    return drawn


def _summary(
    curves: Sequence[tuple[Curve, Curve | None]], references: Sequence[Curve], unit: str
) -> Table:
    """One row a curve, GFN1-xTB first."""
    (e_size, e_name, e_digits), (f_size, f_name, _) = UNITS[unit].values()
    drawn = display.table(
        ["run", "range", "RMSD", "jumps", "largest", "cusps", "force", "cause"],
        title=f"energies in {e_name}, forces in {f_name}",
    )
    drawn.columns[0].no_wrap, drawn.columns[0].overflow = False, "fold"

    def short(value: float | None, size: float) -> str:
        return "—" if value is None else f"{value / size:.2g}"

    for curve, reference in [*((one, None) for one in references), *curves]:
        found = curve.summary()
        drawn.add_row(
            curve.label,
            display.number(found["range_ev"], e_size, e_digits),
            display.number(curve.difference(reference), e_size, e_digits),
            str(found["jumps"]),
            short(found["largest_jump_ev"], e_size),
            str(found["cusps"]),
            short(found["largest_force_jump_ev_per_angstrom"], f_size),
            ", ".join(found["causes"]) or "—",
        )
    return drawn


def _write(
    folder: RunFolder,
    ensemble: Ensemble,
    kind: str,
    along: Path,
    curve: Curve,
    reference: Curve | None,
    temperature: float,
) -> str:
    (trained,) = ensemble.members
    model = trained.potential.model
    table = pd.DataFrame({f"t_{along.unit}": curve.t, "energy_ev": curve.energy})
    rows = [(b.before, b.after, b.energy, b.force) for b in curve.breaks]
    headings = ["before", "after", "energy_ev", "force_ev_per_angstrom"]
    breaks = pd.DataFrame(rows, columns=headings).assign(cause=curve.causes)
    content: dict[str, Any] = {
        "scan": kind,
        "path": along.title,
        "model": trained.config.model.kind,
        **curve.summary(),
    }
    if isinstance(model, DeepSet) and isinstance(model.gate, DistanceGate):
        content |= {
            "envelope": trained.config.envelope,
            "gating": asdict(trained.config.gating),
            "thresholds_angstrom": model.gate.thresholds.tolist(),
        }
    if reference is not None:
        table.loc[np.isin(curve.t, reference.t), "gfn1_energy_ev"] = reference.energy
        content |= {
            "gfn1": reference.summary(),
            "gfn1_electronic_temperature_kelvin": temperature,
            "rms_difference_to_gfn1_ev": curve.difference(reference),
        }
    target = place([folder.path], f"scan-{kind.replace(':', '-').replace('=', '')}")
    return write(target, "scan", [folder], content, {"curve": table, "breaks": breaks})
