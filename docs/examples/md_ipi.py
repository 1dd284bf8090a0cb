"""i-PI on a trained run: path integrals with four beads through ASE's socket client.

    pip install ipi
    python docs/examples/md_ipi.py model.pt2 --data but-2-ene

i-PI moves the beads in a process of its own; this one answers it with forces over a socket. At 300
K the nuclei's quantum kinetic energy is several times the classical one: most of it is zero-point
motion of the hydrogen atoms. Four beads show that; a converged number takes 32.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.socketio import SocketClient
from ase.optimize import BFGS

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.evaluation.paths import starting_molecule

BEADS = 4
INPUT = """<simulation verbosity='quiet'>
  <output prefix='out'>
    <properties stride='1'>[step, temperature{{kelvin}}, kinetic_cv{{electronvolt}}]</properties>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>1</seed></prng>
  <ffsocket mode='unix' name='potential' pbc='false'><address>{address}</address></ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'>start.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='potential'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.25</timestep>
        <thermostat mode='pile_g'><tau units='femtosecond'>25</tau></thermostat>
      </dynamics>
    </motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the path integrals and print the kinetic energy of the nuclei."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="folder of a trained run, or a file of bench export")
    parser.add_argument("--data", default="but-2-ene", help="set whose molecule moves")
    parser.add_argument("--steps", type=int, default=500)
    given = parser.parse_args(arguments)

    molecule = starting_molecule(catalogue.load(given.data))
    atoms = Atoms(molecule.numbers, molecule.positions, cell=[50, 50, 50])
    atoms.calc = DeepSetCalculator(given.potential)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=300)
    address = f"deepset-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        comment = "# CELL(abcABC): 50 50 50 90 90 90 positions{angstrom} cell{angstrom}"
        ase.io.write(home / "start.xyz", atoms, format="xyz", comment=comment)
        settings = INPUT.format(steps=given.steps, address=address, beads=BEADS)
        (home / "input.xml").write_text(settings)
        program = Path(sys.prefix) / "bin" / "i-pi"
        with (home / "said").open("w") as said:
            server = subprocess.Popen(
                [sys.executable, program, "input.xml"], cwd=home, stdout=said, stderr=said
            )
            try:
                client = _connected(address, server)
                client.run(atoms, use_stress=False)
                server.wait(timeout=60)
            finally:
                server.kill()
                server.wait()
        if server.returncode:
            raise SystemExit((home / "said").read_text())
        kinetic = np.loadtxt(home / "out.out")[given.steps // 5 :, 2]

    classical = 1.5 * len(atoms) * units.kB * 300
    print(f"{molecule.formula}, {BEADS} beads, {given.steps} steps of 0.25 fs in i-PI at 300 K")
    print(f"kinetic energy of the nuclei  {kinetic.mean():8.3f} eV")
    print(f"of classical nuclei           {classical:8.3f} eV")


def _connected(address: str, server: subprocess.Popen[bytes]) -> SocketClient:
    """The client, as soon as i-PI listens."""
    place = Path(f"/tmp/ipi_{address}")
    while not place.exists() and server.poll() is None:
        time.sleep(0.05)
    return SocketClient(unixsocket=address)


if __name__ == "__main__":
    main()
