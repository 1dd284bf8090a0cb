"""Whether the molecule is what it is said to be: by a SMILES string, a datasheet or a name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from deepset_bench.checks.finding import VERDICTS, Finding
from deepset_bench.checks.kinds import Kind, formula_of, kinds, skeleton
from deepset_bench.checks.subject import Subject
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.molecules.alike import LARGEST
from deepset_bench.molecules.geometry import HETERO
from deepset_bench.molecules.names import named
from deepset_bench.molecules.smiles import Formula, read_smiles
from deepset_bench.surroundings import require

_BETWEEN = 1.7  # angstrom from both atoms that a proton is between
_MOST, _ALL = 20, 1000  # molecules looked at where nothing is said of them, and where it is


@dataclass(frozen=True)
class _Said:
    """What a molecule is said to be.

    Attributes:
        words: as it was said.
        meant: the molecules it may be.
        exact: a SMILES string, of the whole frame; a name may be that of one of several molecules.
        alone: nothing in the words is left over that could make it another molecule.
        vague: it does not say which of several molecules.
    """

    words: str
    meant: tuple[Formula, ...]
    exact: bool
    alone: bool = True
    vague: bool = False

    def fits(self, kind: Kind) -> bool:
        if not kind.key:
            atoms = [np.sort(formula.numbers).tolist() for formula in self.meant]
            return not self.exact or np.sort(kind.numbers).tolist() in atoms
        keys = {formula.key for formula in self.meant}
        if kind.key in keys or self.exact:
            return kind.key in keys
        # Of several molecules in a frame, words that are not known here may name the others.
        return kind.parts <= keys if self.alone else bool(kind.parts & keys)


def identity(subject: Subject) -> Finding:
    """Every molecule of the set against a SMILES string, the datasheet or the set's name.

    Elements and bonds are compared, and charge; stereochemistry is not. A name counts as far as
    nothing stands beside it that could make it another molecule.
    """
    check = "molecule and name"
    words = given(subject)
    said = _meaning(words) if words is not None else None  # a mistake in it shows at once
    found = kinds(subject)
    if said is None and not any(kind.key for kind in found):
        return Finding(check, "not run", f"no bonds to compare, or over {LARGEST} atoms")
    total: dict[str, int] = {}
    for kind in found:
        total[kind.molecule] = total.get(kind.molecule, 0) + len(kind.index)
    judged = [
        _judged(kind, said or _name(kind.molecule) or _name(subject.name), total[kind.molecule])
        for kind in found[: _MOST if said is None else _ALL]
    ]
    verdict = max((f.verdict for f in judged), key=VERDICTS.index)
    grave = [f for f in judged if f.verdict == verdict]
    texts = list(dict.fromkeys(f.text for f in grave))
    more = f"; {len(texts) - 3} more" if len(texts) > 3 else ""
    frames = tuple(sorted({frame for f in grave for frame in f.frames}))
    text = "; ".join(texts[:3]) + more
    return Finding(check, verdict, text, None, "", frames, (), grave[0].advice)


def _judged(kind: Kind, said: _Said | None, total: int) -> Finding:
    """One molecule, against what is said of it; all its frames are named where they do not fit."""
    check, what = "", described(kind) if kind.key else kind.formula
    share = len(kind.index) / total
    text = f"the geometry is {what}"
    if share < 1:
        text = f"{share:.1%} of the frames (first frame {kind.index.min()}) are {what}"
    if said is None:
        return _unsaid(kind, text)
    if not said.fits(kind):
        return _unfit(kind, said, text, share)
    meant = [formula for formula in said.meant if formula.key == kind.key]
    if meant and all(formula.charge != kind.charge for formula in meant):
        charge = meant[0].charge
        text += f", of charge {charge:+d} as {said.words} has it; the frames say {kind.charge:+d}"
        advice = f"import again with --charge {charge}, or correct what is said of the molecule"
        # Zero is also what frames have that say nothing.
        return Finding(check, "defect" if kind.charge else "suspect", text, advice=advice)
    if meant and said.exact and kind.spin and all(f.spin != kind.spin for f in meant):
        text += f", of multiplicity {meant[0].spin} as {said.words} has it; the frames say "
        advice = "another electronic state? say so in the datasheet, or import with --spin"
        return Finding(check, "suspect", f"{text}{kind.spin}", advice=advice)
    if said.vague:
        text += f"; '{said.words}' may mean {len(said.meant)} molecules"
        advice = "name the right one with --smiles, and it is checked"
        return Finding(check, "suspect", text, advice=advice)
    return Finding(check, "ok", f"{text}, as it is said to be")


def _unfit(kind: Kind, said: _Said, text: str, share: float) -> Finding:
    frames = tuple(sorted(kind.index.tolist())) if share < 1 else ()
    same = [f for f in said.meant if sorted(f.numbers) == sorted(kind.numbers)]
    others = " or ".join(dict.fromkeys(formula_of(formula.numbers) for formula in said.meant))
    text += f", not {said.words}"
    text += " of the same formula" if same else f" ({others}){_difference(kind, said)}"
    advice = "wrong file, or wrong name: the labels are those of another molecule"
    if not said.alone:
        advice = "name the molecule with --smiles, and it is checked"
        return Finding("", "suspect", text, None, "", frames, (), advice)
    if any(_tautomer(kind, formula) for formula in same):
        advice = "a proton stands elsewhere: a tautomer"
        return Finding("", "suspect" if share == 1 else "ok", text, None, "", frames, (), advice)
    return Finding("", "defect", text, None, "", frames, (), advice)


def _difference(kind: Kind, said: _Said) -> str:
    """`: 1 N too many, 1 C too few`, where one formula is meant and the two are close."""
    if len(said.meant) != 1:
        return ""
    high = int(max(kind.numbers.max(), said.meant[0].numbers.max())) + 1
    more = np.bincount(kind.numbers, minlength=high)
    more = more - np.bincount(said.meant[0].numbers, minlength=high)
    words = [
        f"{abs(n)} {chemical_symbols[z]} too {'many' if n > 0 else 'few'}"
        for z, n in sorted(enumerate(more.tolist()), key=lambda pair: -pair[1])
        if n
    ]
    return f": {', '.join(words)}"


def _tautomer(kind: Kind, formula: Formula) -> bool:
    other = replace(kind, numbers=formula.numbers, bonds=formula.bonds, key=formula.key)
    return skeleton(kind) == skeleton(other)


def _unsaid(kind: Kind, text: str) -> Finding:
    """What nobody says anything of: whether it is a molecule at all."""
    electrons = int(kind.numbers.sum()) - kind.charge
    plain = not kind.charge and kind.spin < 2 and electrons % 2 == 0 and kind.group.pieces == 1
    plain = plain and bool(kind.key) and set(kind.numbers.tolist()) <= {1, 6, *HETERO}
    plain = plain and len(kind.bonds) > 0
    if plain and installed() and smiles_of(kind) is None:
        between = _shared_proton(kind)
        if between is not None:
            count = len(kind.index)
            text += f"; in {count:,} frame{'s' * (count > 1)} a proton (atom {between}) is between "
            return Finding("", "ok", f"{text}two atoms, on its way")
        text = f"{kind.molecule}: no closed-shell molecule fits the bonds of {kind.formula}"
        advice = "a radical, an ion or several molecules? say so with --charge and --spin"
        return Finding("", "suspect", text, advice=advice)
    return Finding("", "ok", text)


def _shared_proton(kind: Kind) -> int | None:
    """A hydrogen between two heteroatoms, if the molecule is a sound one with it at either.

    A proton that goes from one to the other is bonded to both, or to neither, on its way; which
    of them has it then is no question of the molecule. A radical stays one.
    """
    numbers, bonds = kind.numbers, kind.bonds
    hetero = np.flatnonzero(np.isin(numbers, list(HETERO)))
    for proton in np.flatnonzero(numbers == 1).tolist():
        own = (bonds == proton).any(axis=1)
        partners = set(bonds[own].ravel().tolist()) - {proton}
        if not partners <= set(hetero.tolist()) or len(partners) == 1:
            continue
        distance = np.linalg.norm(kind.geometry[hetero] - kind.geometry[proton], axis=1)
        nearest = hetero[np.argsort(distance)[:2]]
        if len(nearest) < 2 or np.sort(distance)[1] > _BETWEEN:
            continue
        for atom in nearest.tolist():
            whole = np.vstack([bonds[~own], [sorted((proton, atom))]])
            if smiles_of(replace(kind, bonds=whole)) is not None:
                return proton
    return None


def given(subject: Subject) -> str | None:
    """What the user or the datasheet says of the only molecule there is."""
    several = len({group.molecule for group in subject.groups}) > 1
    sheet = subject.sheet.get("smiles")
    return subject.smiles or (sheet if isinstance(sheet, str) and not several else None)


def _meaning(given: str) -> _Said:
    """A name that is known here, or a SMILES string."""
    name = _name(given)
    try:
        return _Said(given, (read_smiles(given),), True)
    except UserError:
        if name is None or not name.alone:
            raise
        return _Said(name.words, name.meant, len(name.meant) == 1, True, name.vague)


def _name(text: str) -> _Said | None:
    found = named(text)
    if found is None:
        return None
    meant = tuple(map(read_smiles, found.smiles))
    return _Said(found.words, meant, False, found.alone, found.vague)


def described(kind: Kind) -> str:
    """Its name and its SMILES string, or its formula."""
    smiles = smiles_of(kind) if installed() else None
    words = [kind.name, smiles or kind.formula]
    return ", ".join(dict.fromkeys(words))


def installed() -> bool:
    """Whether RDKit is, which writes SMILES strings."""
    try:
        require("rdkit.Chem", "generate")
    except NotInstalled:
        return False
    return True


def smiles_of(kind: Kind) -> str | None:
    """Canonical SMILES without stereochemistry; None where no closed-shell molecule fits.

    Double bonds are placed by the number of neighbours of each atom (RDKit).

    Raises:
        NotInstalled: RDKit is not.
    """
    Chem = require("rdkit.Chem", "generate")
    rdBase = require("rdkit.rdBase", "generate")
    determine = require("rdkit.Chem.rdDetermineBonds", "generate")
    with rdBase.BlockLogs():
        molecule = Chem.RWMol()
        conformer = Chem.Conformer(len(kind.numbers))
        for atom, (z, place) in enumerate(zip(kind.numbers.tolist(), kind.geometry, strict=True)):
            molecule.AddAtom(Chem.Atom(z))
            conformer.SetAtomPosition(atom, place.tolist())
        for i, j in kind.bonds.tolist():
            molecule.AddBond(i, j, Chem.BondType.SINGLE)
        molecule.AddConformer(conformer)
        try:
            determine.DetermineBondOrders(molecule, charge=kind.charge)
            Chem.SanitizeMol(molecule)
        except (ValueError, RuntimeError):
            return None
        # RDKit pairs the electrons of two radicals as a carbanion and a carbocation.
        if any(_lonely(atom) for atom in molecule.GetAtoms()) and not kind.charge:
            return None
        flat = Chem.RemoveHs(molecule)
        Chem.RemoveStereochemistry(flat)
        return str(Chem.MolToSmiles(flat))


def _lonely(atom: Any) -> bool:
    """Whether a carbon atom has a charge, and no neighbour the opposite one."""
    charge = atom.GetFormalCharge()
    near = [other.GetFormalCharge() for other in atom.GetNeighbors()]
    return atom.GetAtomicNum() == 6 and charge != 0 and -charge not in near
