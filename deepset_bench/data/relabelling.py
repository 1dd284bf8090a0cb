"""`bench data relabel`: the same geometries with labels that are the gradient of an energy."""

from __future__ import annotations

import shlex

from deepset_bench.data import catalogue
from deepset_bench.data.gathering import Request, gather
from deepset_bench.data.importing import FACTS, relabelled, stored
from deepset_bench.data.one_surface import check_one_surface

_KEPT = ("smiles", "formula", "licence", "seed", "torsions", "tied_torsions", "sampling")


def relabel_set(
    name: str,
    request: Request,
    method: str = "gfn1",
    electronic_temperature: float | None = None,
    force: bool = False,
) -> str:
    """Compute labels with GFN-xTB and store the set under a new name.

    What the old forces held beside the gradient becomes the set's bias forces.

    Args:
        name: of the new set.
        request: the geometries.
        method: `gfn1` or `gfn2`.
        electronic_temperature: kelvin; by default the datasheet's, else 300.
        force: replace an imported set of this name.

    Raises:
        UserError: the name is taken, tblite is missing, or a frame does not converge; names it.
    """
    catalogue.check_new(name, force)
    old = gather(request, unlabelled=True)
    stated = old.sheet.get("electronic_temperature_kelvin", 300.0)
    kelvin = float(stated if electronic_temperature is None else electronic_temperature)
    frames, label = relabelled(old.frames, method, electronic_temperature=kelvin)
    check_one_surface(frames)
    command = f"bench data relabel {request.words} --as {shlex.quote(name)} --method {method}"
    command += f" --electronic-temperature {kelvin:g}"
    if request.options.frames:
        command += f" --frames {request.options.frames}"
    sheet = {
        "name": name,
        "method": label,
        "electronic_temperature_kelvin": kelvin,
        "units": {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"},
        **{key: old.sheet[key] for key in (*_KEPT, *FACTS) if key in old.sheet},
        "geometries": old.sheet.get("sha256", request.words),
        "command": command,
    }
    return stored(name, frames, sheet, old, force)
