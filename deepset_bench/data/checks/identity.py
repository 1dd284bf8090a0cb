"""Whether the molecule is what it is said to be: SMILES from the geometry, and from a name."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from deepset_bench.data.checks.finding import VERDICTS, Finding
from deepset_bench.data.checks.subject import Group, Subject
from deepset_bench.errors import NotInstalled, UserError, require

_STEMS = ("meth", "eth", "prop", "but", "pent", "hex", "hept", "oct", "non", "dec")
_TRIVIAL = {
    "water": "O",
    "ammonia": "N",
    "methanol": "CO",
    "ethanol": "CCO",
    "formaldehyde": "C=O",
    "acetaldehyde": "CC=O",
    "acetone": "CC(C)=O",
    "acetic acid": "CC(=O)O",
    "glycine": "NCC(=O)O",
    "ethylene": "C=C",
    "acetylene": "C#C",
    "butadiene": "C=CC=C",
    "isobutene": "CC(C)=C",
    "isoprene": "CC(=C)C=C",
    "benzene": "c1ccccc1",
    "toluene": "Cc1ccccc1",
    "naphthalene": "c1ccc2ccccc2c1",
    "malonaldehyde": "O=CCC=O",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "salicylic acid": "O=C(O)c1ccccc1O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "azobenzene": "c1ccc(cc1)N=Nc1ccccc1",
}
_LARGEST, _MOST = 60, 20  # atoms of which bond orders are looked for; molecules


def identity(subject: Subject) -> Finding:
    """The molecule of the lowest whole frame against a SMILES string or the set's name.

    Double bonds are placed by the number of neighbours of each atom (RDKit). Stereochemistry is
    left out: a trajectory may visit both forms.
    """
    check = "molecule and name"
    groups = [group for group in subject.groups[:_MOST] if len(group.numbers) <= _LARGEST]
    if not groups:
        return Finding(check, "not run", f"over {_LARGEST} atoms")
    given = _given(subject)
    try:
        if given is not None:
            _meaning(given)  # a mistake in it is the user's, and shows at once
        found = [_identified(subject, group, given) for group in groups]
    except NotInstalled as error:
        return Finding(check, "not run", str(error))
    verdict = max((verdict for verdict, *_ in found), key=VERDICTS.index)
    texts = list(dict.fromkeys(text for grade, text, _ in found if grade == verdict))
    advice = next(advice for grade, _, advice in found if grade == verdict)
    more = f"; {len(texts) - 3} more" if len(texts) > 3 else ""
    return Finding(check, verdict, "; ".join(texts[:3]) + more, None, "", (), (), advice)


def _identified(subject: Subject, group: Group, given: str | None) -> tuple[str, str, str]:
    """Verdict, text and advice for one group."""
    found = smiles_of(group)
    if found is None:
        text = f"{group.molecule}: no closed-shell molecule fits the bonds"
        return "suspect", text, "a radical, an ion or several molecules?"
    name = name_of(found)
    text = f"the geometry is {name + ', ' if name else ''}{found}"
    said = _meaning(given) if given else None
    said = said or molecule_named(group.molecule) or molecule_named(subject.name)
    if said is None:
        return "ok", text, ""
    words, meant = said
    if found not in meant:
        known = f" ({', '.join(sorted(meant))})" if len(meant) == 1 and words not in meant else ""
        advice = "wrong file, or wrong name: the labels are those of another molecule"
        return "defect", f"{text}, not {words}{known}", advice
    if len(meant) > 1:
        advice = "say which one with --smiles, and it is checked"
        return "suspect", f"{text}; '{words}' may mean {len(meant)} molecules", advice
    return "ok", f"{text}, as it is said to be", ""


def _given(subject: Subject) -> str | None:
    """What the user or the datasheet says of the only molecule there is."""
    several = len({group.molecule for group in subject.groups}) > 1
    sheet = subject.sheet.get("smiles")
    return subject.smiles or (sheet if isinstance(sheet, str) and not several else None)


def _meaning(given: str) -> tuple[str, set[str]]:
    """A SMILES string, or a name, and the canonical SMILES it may mean."""
    named = molecule_named(given)
    if named and _plain(named[0]) == _plain(given):
        return named
    return given, {parse(given)}


def smiles_of(group: Group) -> str | None:
    """Canonical SMILES without stereochemistry; None where no closed-shell molecule fits.

    Raises:
        UserError: RDKit is not installed.
    """
    Chem = require("rdkit.Chem", "generate")
    rdBase = require("rdkit.rdBase", "generate")
    determine = require("rdkit.Chem.rdDetermineBonds", "generate")
    frames = group.whole if len(group) > 1 and len(group.whole) else group
    lowest = frames.positions[int(frames.energy.argmin())]
    atoms = zip(group.numbers.tolist(), lowest.tolist(), strict=True)
    table = Chem.GetPeriodicTable()
    lines = [str(len(group.numbers)), ""]
    lines += [f"{table.GetElementSymbol(z)} {x:.6f} {y:.6f} {w:.6f}" for z, (x, y, w) in atoms]
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromXYZBlock("\n".join(lines) + "\n")
            determine.DetermineBonds(molecule, charge=0)
        except (ValueError, RuntimeError):
            return None
        # RDKit pairs the electrons of two radicals as a carbanion and a carbocation.
        charged = any(a.GetAtomicNum() == 6 and a.GetFormalCharge() for a in molecule.GetAtoms())
        return None if charged else _canonical(molecule)


def _canonical(molecule: Any) -> str:
    Chem = require("rdkit.Chem", "generate")
    flat = Chem.RemoveHs(molecule)
    Chem.RemoveStereochemistry(flat)
    return str(Chem.MolToSmiles(flat))


def parse(smiles: str) -> str:
    """A SMILES string in its canonical form without stereochemistry.

    Raises:
        UserError: RDKit is not installed, or cannot read it.
    """
    Chem = require("rdkit.Chem", "generate")
    with require("rdkit.rdBase", "generate").BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise UserError(f"{smiles!r} is neither a SMILES string nor a name that is known here")
    return _canonical(molecule)


def molecule_named(text: str) -> tuple[str, set[str]] | None:
    """The longest known name in a text, and the canonical SMILES it may mean; None without one.

    `but-2-ene`, `2-butene` and `trans_but2ene` are one name; `pentene` may be two molecules;
    `2-methylbut-2-ene` and `butane-1,4-diol` are none that is known here.
    """
    found = [name for name, pattern in _patterns().items() if pattern.search(text.lower())]
    if not found:
        return None
    name = max(found, key=len)
    return name, {parse(smiles) for smiles in _names()[name]}


def name_of(smiles: str) -> str:
    """The name of a canonical SMILES string, or nothing."""
    return _reverse().get(smiles, "")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Each name as a word by itself, with or without its hyphens, and with nothing attached."""
    substituent = r"(?<![a-z])(?<!yl-)(?<!oxy-)(?<!o-)"
    suffix = r"(?![a-z])(?!-[0-9,]+-[a-z]*(?:ol|one|al|ene|yne|amine|acid))"
    return {
        name: re.compile(substituent + re.sub(r"[-, ]", "[-_, ]?", name) + suffix)
        for name in _names()
    }


@cache
def _reverse() -> dict[str, str]:
    """Canonical SMILES to the first name of one molecule."""
    table: dict[str, str] = {}
    for name, meant in _names().items():
        if len(meant) == 1:
            table.setdefault(parse(meant[0]), name)
    return table


@cache
def _names() -> dict[str, list[str]]:
    """Unbranched hydrocarbons and cycloalkanes up to ten carbons, and some well known molecules."""
    table: dict[str, list[str]] = {name: [smiles] for name, smiles in _TRIVIAL.items()}
    for n, stem in enumerate(_STEMS, 1):
        table[f"{stem}ane"] = ["C" * n]
        if n > 2:
            table[f"cyclo{stem}ane"] = [f"C1{'C' * (n - 1)}1"]
        for ending, bond in (("ene", "="), ("yne", "#")):
            places = {k: _chain(n, {k: bond}) for k in range(1, n)}
            for k, smiles in places.items():
                if n < 4:
                    table[f"{stem}{ending}"] = [smiles]
                else:
                    table[f"{stem}-{k}-{ending}"] = table[f"{k}-{stem}{ending}"] = [smiles]
            if n > 3:
                table[f"{stem}{ending}"] = [places[k] for k in range(1, n // 2 + 1)]
        for k, l in combinations(range(1, n), 2):  # noqa: E741 - locants
            if n > 3:
                smiles = _chain(n, {k: "=", l: "="})
                table[f"{stem}a-{k},{l}-diene"] = table[f"{k},{l}-{stem}adiene"] = [smiles]
    return table


def _chain(n: int, bonds: dict[int, str]) -> str:
    """SMILES of n carbons in a row, with multiple bonds after the k-th of them."""
    return "".join("C" + bonds.get(k, "") for k in np.arange(1, n + 1).tolist())
