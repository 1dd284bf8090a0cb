"""The facts of an exported potential for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepset_bench.export.facts import NOT_ENDED

NAME = "MODEL_CARD.md"
_PARTS = {"val": "validation", "test": "test", "ood": "out of distribution"}
_ERRORS = {
    "energy_mae_ev": "energy MAE, eV per molecule",
    "forces_mae_ev_per_angstrom": "force MAE, eV/angstrom",
    "energy_rmse_ev": "energy RMSE, eV per molecule",
    "forces_rmse_ev_per_angstrom": "force RMSE, eV/angstrom",
}


_KELVIN = {
    "temperature": "Temperature of the thermostat",
    "mean_temperature": "Mean kinetic temperature",
    "max_temperature": "Highest kinetic temperature",
}


def card(name: str, facts: Mapping[str, Any]) -> str:
    """Markdown.

    Args:
        name: of the file.
        facts: of `facts.facts`, and `agreement`.
    """
    lines = [
        title(name),
        "",
        *_verdict(facts["data_verdict"]),
        *_what(facts),
        *_not_for(facts),
        *_errors(facts),
        *_agreement(facts["agreement"]),
        *_training(facts),
        *_file(facts),
    ]
    return "\n".join(lines)


def title(name: str) -> str:
    """The first line of a card."""
    return f"# {name}"


def _verdict(verdict: Mapping[str, Any]) -> list[str]:
    word = verdict["verdict"]
    if word == "ok":
        return []
    if word == NOT_ENDED:
        said = "> **Nobody knows whether the training data are sound:** the run had not ended."
        return [said, ""]
    found = [f"> * {line}" for line in verdict["findings"]]
    said = f"> **The training data are not sound** (verdict of the data check: {word})."
    return [said, "> The potential has learned what is wrong with them.", *found, ""]


def _what(facts: Mapping[str, Any]) -> list[str]:
    reach = (
        f"An atom's energy depends on its neighbours within {facts['cutoff_angstrom']:g} angstrom"
    )
    reach += " alone." if facts["local"] else ", and on their neighbours in turn."
    spins = ", ".join(map(str, facts["multiplicities"])) or "not known"
    return [
        "A trained interatomic potential: energies, forces and the derivative by strain.",
        "",
        f"* Elements: {', '.join(facts['elements'])}.",
        f"* Total charges in training: {_charges(facts['charges'])}; spin multiplicities: {spins}. "
        "The potential does not know one from another.",
        f"* {reach}",
        f"* Computed in {facts['precision']}. Energies in eV, lengths in angstrom, forces in "
        "eV/angstrom.",
        "",
    ]


def _charges(charges: Sequence[int]) -> str:
    return ", ".join(f"{charge:+d}" if charge else "0" for charge in charges)


def _not_for(facts: Mapping[str, Any]) -> list[str]:
    reference = facts["energy_reference"]
    lines = [
        f"* Other elements than {', '.join(facts['elements'])}, and other charges and spins than "
        "those above.",
        "* Geometries unlike those of training: "
        + (
            "errors grow there, as the column out of distribution shows."
            if "ood" in facts["errors"]
            else "nobody measured the errors there."
        ),
    ]
    if not reference["determined"]:
        lines.append(
            f"* Absolute energies of other compositions: {_undetermined(reference, facts)} Use "
            "differences between geometries of one molecule."
        )
    if reference["ev_per_molecule"]:
        lines.append(
            f"* Energies as they come out of the file: {reference['ev_per_molecule']!r} eV belong "
            "to each molecule and are to be added (DeepSetCalculator adds them)."
        )
    if not facts["forces_are_the_gradient"]:
        lines.append(
            "* Molecular dynamics: the run learned forces in another unit than energies, so that "
            "its forces are a multiple of the gradient."
        )
    if facts["data_verdict"]["verdict"] != "ok":
        lines.append("* Anything that rests on the training data being right; see above.")
    return ["## What it must not be used for", "", *lines, ""]


def _undetermined(reference: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if reference["kind"] == "molecule_mean":
        return "the energy reference is the mean energy of the training molecules."
    return (
        f"the compositions in training have rank {reference['rank']} for {len(facts['elements'])} "
        "elements, so that the energies of the elements are one choice of many."
    )


def _errors(facts: Mapping[str, Any]) -> list[str]:
    parts = [part for part in _PARTS if part in facts["errors"]]
    if not parts:
        return ["## Errors", "", "Not measured: the run had not ended.", ""]
    heading = ["error", *(_PARTS[part] for part in parts)]
    rows = [heading, ["---", *["--:" for _ in parts]]]
    for key, words in _ERRORS.items():
        found = [_with_trivial(facts, part, key) for part in parts]
        if any(found):
            rows.append([words, *found])
    return [
        "## Errors",
        "",
        "In brackets the error of knowing nothing: the mean energy, and zero force.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _with_trivial(facts: Mapping[str, Any], part: str, key: str) -> str:
    error = facts["errors"][part].get(key)
    trivial = facts["baselines"].get(part, {}).get(key)
    if error is None:
        return ""
    return f"{error:.3g}" + (f" ({trivial:.3g})" if trivial is not None else "")


def _agreement(found: Mapping[str, Any]) -> list[str]:
    return [
        "## Agreement with the run",
        "",
        f"On {found['frames']} test frames of the run, this file and the run differ by at most "
        f"{found['energy_ev']:.2g} eV and {found['forces_ev_per_angstrom']:.2g} eV/angstrom.",
        "",
    ]


def _training(facts: Mapping[str, Any]) -> list[str]:
    run = facts["run"]
    lines = [f"Run {run['identity']} ({run['variant'] or 'unfinished'}), seed {run['seed']}."]
    if run["command"]:
        lines += ["", "```sh", run["command"], "```"]
    else:
        lines.append("Its whole configuration is in the file.")
    for data in facts["data"]:
        lines += ["", *_data(data)]
    verdict = facts["data_verdict"]["verdict"]
    return ["## Training", "", *lines, "", f"Verdict of the data check: {verdict}.", ""]


def _data(data: Mapping[str, Any]) -> list[str]:
    lines = [f"* Data: {data['name']}, SHA-256 `{data['sha256'] or 'not known'}`"]
    for key in ("frames", "method", "licence"):
        if data.get(key) is not None:
            lines.append(f"* {key.capitalize()}: {data[key]}")
    for key, (least, most) in data.get("kelvin", {}).items():
        words = _KELVIN.get(key, key.replace("_", " ").capitalize())
        lines.append(f"* {words}: {least:g}{f' to {most:g}' if most > least else ''} K")
    return lines


def _file(facts: Mapping[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    compiled = facts.get("compiled")
    where = (
        f"Compiled by torch {compiled['torch']} for {compiled['system']} on "
        f"{compiled['processor']} ({compiled['vectors']}); on another machine the program in the "
        "file is compiled again."
        if compiled
        else "TorchScript, for metatomic."
    )
    return ["## File", "", where, "", f"Written with {packages}.", ""]
