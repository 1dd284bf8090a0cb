"""`python -m benchmarks sound`: what `bench data check` says of sets that have nothing wrong.

Sets of ions, radicals, linear molecules, pairs of molecules and ordinary organic ones, sampled in
the usual ways, with labels of GFN1-xTB and GFN2-xTB. Each is examined with and without GFN-xTB;
a defect is a false alarm.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.sampling import Sound
from benchmarks.tables import Table, replace_section
from benchmarks.timing import machine
from deepset_bench.checks.finding import Finding, worst
from deepset_bench.checks.full import full_examination
from deepset_bench.checks.subject import Subject

FOLDER = Path("build/sound")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_check.md"

SETS = (
    # linear and diatomic
    Sound("N2", ("N#N",), "md 300 10", 60),
    Sound("test1", ("N#N",), "rattled 0.03", 30, "gfn2"),
    Sound("carbon-monoxide", ("[C-]#[O+]",), "md 500 5", 60),
    Sound("CO-scan", ("[C-]#[O+]",), "scan", 30, "gfn2"),
    Sound("H2", ("[H][H]",), "md 300 5", 60),
    Sound("h2-scan", ("[H][H]",), "scan", 30),
    Sound("h2_scan_gfn2", ("[H][H]",), "scan", 60, "gfn2"),
    Sound("HF", ("F",), "rattled 0.05", 60),
    Sound("HCN", ("C#N",), "rattled 0.05", 60),
    Sound("run-3", ("C#N",), "md 500 10", 200, "gfn2"),
    Sound("acetylene", ("C#C",), "md 300 10", 200),
    Sound("C2H2", ("C#C",), "rattled 0.04", 60, "gfn2", "turned"),
    Sound("CO2", ("O=C=O",), "rattled 0.05", 60),
    Sound("carbon dioxide", ("O=C=O",), "md 300 10", 200, "gfn2"),
    Sound("N2O", ("[N-]=[N+]=O",), "md 500 10", 60),
    # ions
    Sound("ammonium", ("[NH4+]",), "md 300 10", 200),
    Sound("NH4", ("[NH4+]",), "rattled 0.05", 60, "gfn2"),
    Sound("H3O+", ("[OH3+]",), "md 500 10", 60),
    Sound("hydronium", ("[OH3+]",), "rattled 0.04", 200, "gfn2", "turned"),
    Sound("OH-", ("[OH-]",), "md 300 5", 60, "gfn2"),
    Sound("hydroxide", ("[OH-]",), "rattled 0.05", 30),
    Sound("acetate", ("CC(=O)[O-]",), "md 300 20", 200),
    Sound("formate", ("[O-]C=O",), "md 500 10", 60, "gfn2"),
    Sound("methylammonium", ("C[NH3+]",), "md 500 10", 200, "gfn2"),
    Sound("glycine-zwitter", ("[NH3+]CC(=O)[O-]",), "rattled 0.02", 60),
    Sound("methyl-cation", ("[CH3+]",), "md 300 5", 60),
    # radicals
    Sound("CH3", ("[CH3]",), "rattled 0.05", 60),
    Sound("methyl", ("[CH3]",), "md 500 10", 200, "gfn2"),
    Sound("OH", ("[OH]",), "md 500 10", 60),
    Sound("NO", ("[N]=O",), "rattled 0.04", 60, "gfn2"),
    Sound("NO2", ("[O]N=O",), "md 300 10", 60),
    Sound("ethyl", ("C[CH2]",), "md 300 10", 60, "gfn2"),
    Sound("triplet-oxygen", ("[O][O]",), "md 500 5", 60),
    # pairs of molecules
    Sound("water_dimer", ("O.O",), "md 300 10", 200),
    Sound("water-dimer-scan", ("O.O",), "scan", 30),
    Sound("dimer2", ("O.O",), "rattled 0.05", 60, "gfn2", "permuted"),
    Sound("HF-dimer", ("F.F",), "md 300 10", 200, "gfn2"),
    Sound("methane-water", ("C.O",), "md 300 10", 60),
    Sound("ammonia_in_water", ("N.O",), "scan", 60, "gfn2"),
    Sound("formic-acid-dimer", ("O=CO.O=CO",), "md 300 10", 60),
    Sound("ammonium-water", ("[NH4+].O",), "md 300 10", 60, "gfn2"),
    # small molecules of many elements
    Sound("water", ("O",), "md 500 10", 200, "gfn2"),
    Sound("ammonia", ("N",), "rattled 0.08", 60),
    Sound("methane", ("C",), "md 500 10", 5),
    Sound("PH3", ("P",), "rattled 0.05", 60),
    Sound("H2S", ("S",), "md 300 10", 60, "gfn2"),
    Sound("SO2", ("O=S=O",), "md 500 10", 60),
    Sound("silane", ("[SiH4]",), "rattled 0.05", 60, "gfn2"),
    Sound("chloroform", ("ClC(Cl)Cl",), "md 500 20", 60),
    Sound("methyl-bromide", ("CBr",), "md 300 10", 60, "gfn2"),
    Sound("dmso", ("CS(C)=O",), "md 300 20", 200),
    Sound("nitromethane", ("C[N+](=O)[O-]",), "md 500 20", 60, "gfn2"),
    Sound("hydrogen_peroxide", ("OO",), "torsion", 60),
    Sound("sulfuric-acid", ("OS(=O)(=O)O",), "md 300 10", 60),
    # organic molecules
    Sound("ethane", ("CC",), "torsion", 60, "gfn2"),
    Sound("glycine", ("NCC(=O)O",), "md 500 20", 200, "gfn2"),
    Sound("ethanolamine", ("NCCO",), "md 300 10", 60),
    Sound("malonaldehyde", ("O=CC=CO",), "md 500 20", 200),
    Sound("lactic", ("CC(O)C(=O)O",), "rattled 0.03", 2),
    Sound("acetone_md", ("CC(C)=O",), "md 300 2", 200),
    Sound("benzene_set", ("c1ccccc1",), "md 300 20", 200, "gfn2"),
    Sound("pyridine", ("c1ccncc1",), "rattled 0.03", 30),
    Sound("furan-500K", ("c1ccoc1",), "md 500 20", 60),
    Sound("cyclopropane", ("C1CC1",), "md 500 10", 60, "gfn2"),
    Sound("cyclobutane", ("C1CCC1",), "rattled 0.05", 60),
    Sound("propene_oxide", ("CC1CO1",), "md 300 20", 60),
    Sound("mine", ("C=C",), "md 500 10", 1),
    Sound("ethene", ("C=C",), "rattled 0.06", 60, "gfn1", "permuted"),
    Sound("trans-but-2-ene", ("C/C=C/C",), "md 300 20", 60, "gfn2"),
    Sound("butadiene", ("C=CC=C",), "md 500 10", 200),
    Sound("ketene", ("C=C=O",), "rattled 0.04", 60, "gfn2"),
    Sound("diazomethane", ("C=[N+]=[N-]",), "md 300 10", 60),
    # several molecules in a set
    Sound("alcohols", ("CO", "CCO", "CCCO"), "md 300 10", 60, "gfn1", "named"),
    Sound("small", ("O", "N", "C", "CO", "C=O"), "rattled 0.05", 30, "gfn2"),
    Sound("isomers", ("CCO", "COC"), "md 500 10", 30),
    Sound("solvents", ("O", "CC#N", "CC(C)=O"), "md 300 10", 5, "gfn2", "permuted"),
)


def main(words: Sequence[str]) -> None:
    """Make or load the sets, examine them, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sound", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SET", help="of the sets; by default all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="keeps the sets (%(default)s)")
    parser.add_argument("--sample", type=int, default=200, help="frames computed with GFN-xTB")
    parser.add_argument("--defects", action="store_true", help="write out every defect, suspicion")
    parser.add_argument("--write", action="store_true", help=f"put the summary into {PAGE.name}")
    given = parser.parse_args(words)
    chosen = [sound for sound in SETS if not given.names or sound.name in given.names]
    examined = {sound: examination(sound, given.folder, given.sample) for sound in chosen}
    print(table(examined).markdown())
    content = f"{summary(examined)} {machine()}; {date.today():%Y-%m-%d}."
    print(content)
    if given.write:
        replace_section(PAGE, "sound", content)
    if given.defects:
        for sound, findings in examined.items():
            for finding in findings:
                if finding.verdict in ("defect", "suspect"):
                    print(f"{sound.name}: {finding.verdict}: {finding.check}: {finding.text}")


def examination(sound: Sound, folder: Path, sample: int) -> list[Finding]:
    """Everything `bench data check` finds in a set, but for what is right to say of it.

    A random split of frames close in time leaks, and is said to.
    """
    subject = Subject(sound.frames_from(folder), sound.name)
    findings = full_examination(subject, sample).findings
    return [finding for finding in findings if finding.check != "random split"]


def table(examined: dict[Sound, list[Finding]]) -> Table:
    """How many defects and suspicions each set has, from the frames alone and from GFN-xTB."""
    rows, totals = [], [0, 0, 0, 0]
    for sound, findings in examined.items():
        counts = [
            sum(finding.verdict == verdict for finding in findings if with_xtb(finding) == xtb)
            for xtb in (False, True)
            for verdict in ("defect", "suspect")
        ]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        what = {f.check for f in findings if f.verdict in ("defect", "suspect")}
        smiles = " ".join(sound.smiles)
        made = f"{sound.frames} of {sound.sampling} {sound.order}".strip()
        rows.append([sound.name, smiles, made, sound.method, *map(str, counts), ", ".join(what)])
    molecules = len({smiles for sound in examined for smiles in sound.smiles})
    rows.append(
        ["all", f"{molecules} molecules", f"{len(examined)} sets", "", *map(str, totals), ""]
    )
    header = ["set", "molecules", "frames", "labels", "defects", "suspicions"]
    header += ["defects (GFN-xTB)", "suspicions (GFN-xTB)", "by"]
    return Table("Sound sets.", "Every defect here is a false alarm.", header, rows)


def summary(examined: dict[Sound, list[Finding]]) -> str:
    """How many sets have a defect or a suspicion, in one sentence, and those that have."""
    worst_of = {sound.name: worst(findings) for sound, findings in examined.items()}
    molecules = len({smiles for sound in examined for smiles in sound.smiles})
    frames = sum(sound.frames * len(sound.smiles) for sound in examined)
    text = f"{len(examined)} sets of {molecules} molecules, {frames:,} frames"
    for verdict, word in (("defect", "defect"), ("suspect", "suspicion")):
        names = [name for name, found in worst_of.items() if found == verdict]
        text += f"; {len(names)} with a {word}"
        text += f" ({', '.join(names)})" if names else ""
    return f"{text}."


def with_xtb(finding: Finding) -> bool:
    """Whether a finding comes from labels computed anew."""
    return "GFN-xTB" in finding.check or finding.check == "level of theory"
