"""What an exported potential says of itself: all of it is known before it is compiled."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ase.data import chemical_symbols

from deepset_bench import processor
from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.data import catalogue
from deepset_bench.deployment.function import Deployed
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained
from deepset_bench.groups import groups
from deepset_bench.record import CONFIG
from deepset_bench.schema import Config, flat
from deepset_bench.surroundings import versions

UNITS = {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom", "strain": "eV"}
NOT_ENDED = "not known"
"""Verdict on the data of a run that has not ended."""
_ELECTRONS = "electronic"


def facts(member: Trained, deployed: Deployed, precision: str) -> dict[str, Any]:
    """Everything but how it compares with the run, as JSON holds it.

    Args:
        member: the run.
        deployed: its deployed form.
        precision: a key of PRECISIONS.
    """
    reference, result, domain = member.reference, member.folder.result(), member.domain
    species = reference.species.tolist()
    symbols = [chemical_symbols[z] for z in species]
    whole = reference.rank == len(species) or member.config.reference.kind == "isolated_atoms"
    verdict = result.get("data_verdict") or {"verdict": NOT_ENDED, "findings": []}
    return {
        "elements": symbols,
        "atomic_numbers": species,
        "cutoff_angstrom": member.config.cutoff,
        "precision": precision,
        "local": deployed.local,
        "forces_are_the_gradient": deployed.force_unit == 1,
        "units": UNITS,
        "energy_reference": {
            "kind": member.config.reference.kind,
            "ev_per_atom": dict(zip(symbols, reference.energies.tolist(), strict=True)),
            "ev_per_molecule": reference.constant,
            "rank": reference.rank,
            "determined": whole and not reference.constant,
            "molecules": None if domain.molecules is None else domain.molecules.tolist(),
        },
        "charges": domain.charges,
        "multiplicities": domain.multiplicities,
        "run": {
            "identity": member.folder.identity(),
            "variant": result.get("variant", ""),
            "seed": member.config.seed,
            "command": command(member.config),
            "determinants": flat(determinants(member.config)),
            "config": member.folder.text(CONFIG),
            "versions": result.get("versions", {}),
        },
        "data": [_data(name, member.checksums) for name in member.config.sets],
        "data_verdict": dict(verdict),
        "errors": {part: _numbers(found) for part, found in result.get("metrics", {}).items()},
        "baselines": {part: _numbers(found) for part, found in result.get("baselines", {}).items()},
        "versions": versions(),
        "compiled": processor.here(),
    }


def command(config: Config) -> str:
    """A command that makes the run again; empty where overrides alone do not.

    Options of groups are taken where they bring the configuration nearer, then single keys.
    """
    wanted = flat(determinants(config))
    words = [f"data={config.data.name}", f"condition={config.condition.name}"]

    def missing(words: list[str]) -> dict[str, Any] | None:
        """What the run has otherwise; None where the words mean nothing."""
        try:
            found = flat(determinants(experiment(words).config))
        except UserError:
            return None
        return {key: wanted.get(key) for key in wanted | found if wanted.get(key) != found.get(key)}

    left = missing(words)
    if left is None:
        return ""
    for group, options in groups().items():
        if not any(key.split(".")[0] == group for key in left):
            continue
        for option in options:
            tried = missing([*words, f"{group}={option}"])
            if tried is not None and len(tried) < len(left):
                words, left = [*words, f"{group}={option}"], tried
    words += [f"{key}={_value(value)}" for key, value in left.items()]
    return f"bench train {shlex.join(words)}" if missing(words) == {} else ""


def _value(value: Any) -> str:
    """As Hydra's grammar has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    return "null" if value is None else str(value)


def _data(name: str, checksums: Mapping[str, str] | None) -> dict[str, Any]:
    """What is known of one set; its datasheet alone where the set is the one of training."""
    known: dict[str, Any] = {"name": name, "sha256": (checksums or {}).get(name)}
    try:
        sheet = catalogue.datasheet(name)
    except UserError:
        return known
    if sheet.get("sha256") != known["sha256"]:
        return known
    temperatures: dict[str, list[float]] = {}
    for key, value in _temperatures(sheet):
        temperatures.setdefault(key, []).append(value)
    return {
        **known,
        "frames": sheet.get("frames"),
        "method": sheet.get("method"),
        "licence": sheet.get("licence"),
        "kelvin": {key: [min(found), max(found)] for key, found in temperatures.items()},
    }


def _temperatures(sheet: Any) -> Iterator[tuple[str, float]]:
    """Those of nuclei, by the name that the datasheet has for them, wherever in it."""
    if isinstance(sheet, list):
        for entry in sheet:
            yield from _temperatures(entry)
    elif isinstance(sheet, dict):
        for key, value in sheet.items():
            if str(key).endswith("temperature_kelvin") and isinstance(value, int | float):
                if _ELECTRONS not in str(key):
                    yield str(key).removesuffix("_kelvin"), float(value)
            else:
                yield from _temperatures(value)


def _numbers(found: Any) -> dict[str, float]:
    """The finite numbers of a part, whose names end in their units."""
    if not isinstance(found, dict):
        return {}
    return {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
