"""Names of molecules, and which molecules they may mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from deepset_bench.molecules.frames import IntArray
from deepset_bench.molecules.smiles import Formula, read_smiles

_STEMS = ("meth", "eth", "prop", "but", "pent", "hex", "hept", "oct", "non", "dec")
_TRIVIAL = {
    "water": "O",
    "hydronium": "[OH3+]",
    "hydroxide": "[OH-]",
    "hydrogen peroxide": "OO",
    "hydrogen cyanide": "C#N",
    "carbon monoxide": "[C-]#[O+]",
    "carbon dioxide": "O=C=O",
    "ammonia": "N",
    "ammonium": "[NH4+]",
    "methanol": "CO",
    "ethanol": "CCO",
    "formaldehyde": "C=O",
    "acetaldehyde": "CC=O",
    "acetone": "CC(C)=O",
    "formic acid": "O=CO",
    "acetic acid": "CC(=O)O",
    "formate": "[O-]C=O",
    "acetate": "CC(=O)[O-]",
    "dimethyl ether": "COC",
    "acetonitrile": "CC#N",
    "glycine": "NCC(=O)O",
    "ethylene": "C=C",
    "acetylene": "C#C",
    "butadiene": "C=CC=C",
    "isobutene": "CC(C)=C",
    "isoprene": "CC(=C)C=C",
    "furan": "c1ccoc1",
    "pyridine": "c1ccncc1",
    "benzene": "c1ccccc1",
    "phenol": "Oc1ccccc1",
    "toluene": "Cc1ccccc1",
    "naphthalene": "c1ccc2ccccc2c1",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "salicylic acid": "O=C(O)c1ccccc1O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "azobenzene": "c1ccc(cc1)N=Nc1ccccc1",
}
_TAUTOMERS = {
    "malonaldehyde": ["O=CC=CO", "O=CCC=O"],
    "acetylacetone": ["CC(=O)C=C(C)O", "CC(=O)CC(C)=O"],
}
"""One name for two molecules that turn into each other."""
_ORDINARY = """
    a aimd all and at b bench bias biased blyp box c ccsd cis clean cluster conf conformer
    conformers copy corrected cp data dataset demo dft dimer e eq equilibrium ev example extxyz
    final first force forces frames frc from fs full gas geom geometries geoms gfn h hot in
    isolated k kelvin label labelled labels langevin large last liquid long m md metadynamics
    min mine minima mix mixture molecule monomer mp mtd my n new npt nve nvt of old opt part pbe
    phase pimd pos position positions potential ps pure r random rattled raw reference
    relabelled report revised rmd run s sample sampled samples scan second seed set short single
    small solution t tblite test tetramer the third tmp toy train training traj trajectories
    trajectory trans trimer unbiased v vacuum val valid validation w wb x xtb xyz z"""
"""Words beside which a name still means the molecule."""
_DERIVED = (
    "acid|al|alcohol|amide|amine|anion|bromide|cation|chloride|dioxide|ester|ether|fluoride|glycol"
    "|hydrate|imine|iodide|ion|ketone|nitrile|ol|one|oxide|oxime|peroxide|radical|sulfide|sulfone"
    "|sulfoxide|thiol|ylide"
)
"""Words after which it means another one."""


@dataclass(frozen=True)
class Named:
    """What a text names.

    Attributes:
        words: the names in it, as they are known here.
        smiles: the molecules that they may mean.
        alone: nothing in the text is left over that could make it another molecule.
        vague: which of several molecules is meant, the name does not say.
    """

    words: str
    smiles: tuple[str, ...]
    alone: bool
    vague: bool


@cache
def named(text: str) -> Named | None:
    """The known names in a text; None without one.

    `but-2-ene`, `2-butene` and `trans_but2ene` are one name; `pentene` may be two molecules;
    `2-methylbut-2-ene`, `propene oxide` and `butane-1,4-diol` are none that is known here.
    """
    rest, found = text.lower(), list[str]()
    for name, pattern in _patterns().items():
        rest, times = pattern.subn(" ", rest)
        if times:
            found.append(name)
    if not found:
        return None
    left = {word for word in re.split(r"[^a-z]+", rest) if word}
    meant = dict.fromkeys(smiles for name in found for smiles in _names()[name])
    vague = any(len(_names()[name]) > 1 and name not in _TAUTOMERS for name in found)
    return Named(" and ".join(found), tuple(meant), left <= set(_ORDINARY.split()), vague)


def name_of(numbers: IntArray, key: bytes, charge: int) -> str:
    """The name of a molecule by its atoms, the key of its graph and its charge, or nothing."""
    known = _by_formula().get((np.sort(numbers).tobytes(), charge), [])
    return next((name for name, formula in known if formula.key == key), "")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Each name as a word by itself, with or without its hyphens, and with nothing attached."""
    substituent = r"(?<![a-z])(?<!yl-)(?<!oxy-)(?<!o-)"
    suffix = rf"(?![a-z])(?![-_ ](?:[0-9,]+-)?(?:di|tri)?(?:{_DERIVED})(?![a-z]))"
    return {
        name: re.compile(substituent + re.sub(r"[-, ]", "[-_, ]?", name) + suffix)
        for name in sorted(_names(), key=len, reverse=True)
    }


@cache
def _by_formula() -> dict[tuple[bytes, int], list[tuple[str, Formula]]]:
    """Atoms and charge to the names of one molecule that have them."""
    table: dict[tuple[bytes, int], list[tuple[str, Formula]]] = {}
    for name, meant in _names().items():
        if len(meant) == 1:
            formula = read_smiles(meant[0])
            place = np.sort(formula.numbers).tobytes(), formula.charge
            table.setdefault(place, []).append((name, formula))
    return table


@cache
def _names() -> dict[str, list[str]]:
    """Unbranched hydrocarbons and cycloalkanes up to ten carbons, and some well known molecules."""
    table: dict[str, list[str]] = {name: [smiles] for name, smiles in _TRIVIAL.items()} | _TAUTOMERS
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
