"""What is read, and what is refused in one line: S1 to S5, S8, R1 to R17, C5."""

from tests.cases.case import Case


def reads(id: str, words: str, *says: str, needs: tuple[str, ...] = ()) -> Case:
    """`bench data import it WORDS` reads it, and says so with this."""
    return Case(id, (f"data import it {words}",), says=("it: .* frames? in", *says), needs=needs)


def refuses(id: str, words: str, *says: str, needs: tuple[str, ...] = ()) -> Case:
    """The same is refused, in one line with this."""
    return Case(id, (f"data import it {words}",), says=("^error: ", *says), status=2, needs=needs)


CASES = [
    refuses("S1", "{files}/S1/A33.dump", "names no elements", "no energies"),
    refuses("S1", "{files}/S1/A33.lammpstrj", "names no elements", "no energies"),
    refuses("S1", "{files}/S1/A33.dump --relabel gfn1", "names no elements"),
    refuses("S1", "{files}/S1/A33.dump --elements 1=C,2=O,3=H", "has no 'energy'"),
    refuses(
        "S1", "{files}/S1/A33.dump --elements 1=C,2=O --relabel gfn1", "which element type 3 is"
    ),
    reads("S2", "{files}/S2/A11_BLANK.XYZ", "10 frames"),
    reads("S2", "{files}/S2/A11_blank.xyz", "10 frames"),
    reads("S3", "{files}/S3/A42_h3o.extxyz", r"charge \+1; spin multiplicity 1"),
    Case(
        "S3",
        ("data check {files}/S3/A42_h3o.extxyz --sample 5",),
        says=(r"charge \+1; spin multiplicity 1", "ok +level of theory +GFN1-xTB energies"),
        needs=("tblite", "rdkit"),
    ),
    Case(
        "S3",
        ("data import it {files}/S3/A42_h3o.extxyz --relabel gfn1", "data show it"),
        says=(r"energy, mean.* -156\.8",),  # of the neutral radical -166.5 eV
        needs=("tblite",),
    ),
    refuses("S3", "{files}/S3/A42_h3o.extxyz --charge 0", "no geometry has the charge 0, but 1"),
    refuses("S3", "{files}/C3/ok.extxyz --spin 2", "no spin multiplicity of 2"),
    reads("S3", "{files}/C3/ok.extxyz --charge -1", "charge -1; spin multiplicity 2"),
    reads(
        "S4",
        "{files}/S4/A30_ani1x.h5",
        "80 frames",
        "40 of 120 geometries have no labels: left out",
        needs=("h5py",),
    ),
    refuses(
        "S4",
        "{files}/S4/A30_ani1x.h5 --energy-key 'ccsd(t)_cbs.energy'",
        "are of two methods",
        needs=("h5py",),
    ),
    reads("S5", "{files}/S5/A28_spk.db", "kcal/mol", "as the file says"),
    reads("S5", "{files}/S5/A28b_spk.db", "kcal/mol", "as the file says"),
    reads(
        "S5",
        "{files}/S5/A28_spk.db --energy-unit hartree",
        "energy hartree .--energy-unit, against kcal/mol in the file",
    ),
    refuses("S8", "{files}/S8/A26_charges.extxyz", "does not see the charge", "--charge 0 or"),
    reads("S8", "{files}/S8/A26_charges.extxyz --charge 1", "30 frames", r"charge \+1"),
    reads("R1", "--positions {files}/R1/E01-pos-1.xyz --forces {files}/R1/E01-frc-1.xyz"),
    refuses("R1", "{files}/R1/E01-pos-1.xyz", "CP2K trajectory, without forces", "--positions"),
    reads(
        "R2",
        "--positions {files}/R2/E00-pos-1.xyz --relabel gfn1 --frames 1-2",
        needs=("tblite",),
    ),
    reads("R2", "{files}/R2/E00-pos-1.xyz --relabel gfn1 --frames 1-2", needs=("tblite",)),
    refuses("R2", "--positions {files}/R2/E00-pos-1.xyz", "--positions alone .* --relabel gfn1"),
    reads(
        "R4",
        "--positions {files}/R4/E04-pos-1.xyz --forces {files}/R4/E04-frc-1.xyz "
        "--force-unit eV/angstrom",
        "forces eV/angstrom .--force-unit",
    ),
    reads(
        "R4",
        "--positions {files}/R4/E08-pos-1.xyz --forces {files}/R4/E08-frc-1.xyz --length-unit bohr",
        "positions bohr .--length-unit",
    ),
    reads("R5", "--positions {files}/R5/E02-pos-1.xyz --forces {files}/R5/E02-frc-1.xyz"),
    reads("R5", "--positions {files}/R5/E11-pos-1.xyz --forces {files}/R5/E11-frc-1.xyz"),
    reads(
        "R7",
        "{files}/R7/A17_ang_ha_habohr.extxyz --energy-unit hartree --force-unit hartree/bohr",
        "hartree/bohr",
    ),
    reads("R8", "{files}/R8/A18_gradient.extxyz --gradients"),
    reads("R8", "{files}/R8/A18_gradient.extxyz --gradients --forces-key gradient"),
    refuses("R8", "{files}/R8/A18_gradient.extxyz", "has no 'forces'; 'gradient' is there"),
    reads("R9", "{files}/R9/A10_periodic.extxyz", "5 frames"),
    refuses("R9", "{files}/R9/A10b_lattice_nopbc.extxyz", "'Lattice'", 'pbc="F F F"'),
    reads("R9", "{files}/R9/A10c_mixedpbc.extxyz", "5 frames"),
    refuses("R10", "{files}/R10/A04_missingforces.extxyz", "has no 'forces'", "--skip-incomplete"),
    reads(
        "R10",
        "{files}/R10/A04_missingforces.extxyz --skip-incomplete",
        "5 frames",
        "1 of 6 geometries have no labels: left out",
    ),
    refuses("R10", "{files}/R10/A05_nan.extxyz", r"frame \d+, line \d+", "--skip-incomplete"),
    reads("R10", "{files}/R10/A05_nan.extxyz --skip-incomplete", "1 of 6 geometries"),
    reads("R11", "{files}/R11/A01_nonl.extxyz", "5 frames"),
    reads("R12", "{files}/R12/A29_md17.npz", "kcal/mol", "as the file says"),
    reads("R12", "{files}/R12/A29e_units.npz", "kcal/mol", "as the file says"),
    reads("R12", "{files}/R12/A29h_au.npz", "hartree, bohr and hartree/bohr"),
    reads("R12", "{files}/R12/A29h_au.npz --energy-unit eV", "against hartree in the file"),
    reads("R14", "{files}/R14/A06b_energy_array.extxyz --energy-key REF_energy"),
    reads("R15", "{files}/R15/A08b_stress6.extxyz"),
    reads("R16", "{files}/R16/A12_smiles.extxyz"),
    reads("R16", "{files}/R16/A12b_smiles.extxyz"),
    reads("R17", "{files}/R17/A13_fortranD.extxyz"),
    reads("R17", "{files}/R17/A14_Zspecies.extxyz"),
    reads("R17", "{files}/R17/A15_D.extxyz"),
    reads("R17", "{files}/R17/A15b_labels.extxyz"),
    reads("R17", "{files}/R17/A16_latin1.extxyz"),
    reads("C5", "{files}/C5/A24_h2scan.extxyz", "3 frames"),
    reads("T2", "{files}/T2/A35_No.extxyz"),
]
