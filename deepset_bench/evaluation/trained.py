"""A trained potential, as its run folder holds it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from deepset_bench.config import load_config
from deepset_bench.data.batches import Tables
from deepset_bench.data.frames import Frames
from deepset_bench.denormals import start_threads
from deepset_bench.errors import UserError
from deepset_bench.model.potential import Potential
from deepset_bench.model.reference import EnergyReference
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Config
from deepset_bench.training import checkpoint
from deepset_bench.training.setup import build_potential, choose_device


@dataclass(frozen=True)
class Trained:
    """What a run has learned.

    Attributes:
        potential: the parameters of the lowest validation loss, in eval mode and in the fused form
            (the same function whichever form it was trained in).
        reference: what to add to the potential's energies.
        config: the configuration of the run.
    """

    potential: Potential
    reference: EnergyReference
    config: Config

    def tables(self, frames: Frames) -> Tables:
        """Unlabelled frames prepared for the potential, on its device and in its precision.

        Raises:
            UserError: a frame holds an element that was not in training.
        """
        known = self.potential.species.tolist()
        unknown = [int(z) for z in frames.species if z not in known]
        if unknown:
            raise UserError(
                f"atomic number {unknown[0]} was not in training; this run knows "
                f"{', '.join(map(str, known))}"
            )
        tables = Tables.build(
            frames,
            self.config.cutoff,
            dtype=next(self.potential.parameters()).dtype,
            every_second=self.config.every_second,
        )
        return self.potential.prepare(tables.to(self.potential.species.device))


def load_trained(run: Path, device: str = "auto", without: Collection[str] = ()) -> Trained:
    """The trained potential of a run folder.

    Args:
        run: a folder with `config.yaml` and `best.pt`; the run need not have ended.
        device: as in the configuration; not the one that the run was trained on.
        without: dotted keys of its configuration to leave out.

    Raises:
        UserError: either file is missing, damaged, or does not fit the other.
    """
    start_threads()
    folder, place = RunFolder(run), choose_device(device)
    config = load_config(folder.config, without)
    best = checkpoint.load(folder.best, place)
    try:
        state = best["potential"]
        species, scale = state["species"], float(state["scale"])
        potential = build_potential(replace(config, form="fused"), species, scale)
        potential.load_state_dict(state)
        reference = checkpoint.unpack_reference(best["reference"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{folder.best}: does not fit {folder.config.name} ({reason})") from None
    return Trained(potential.to(place).eval().requires_grad_(False), reference, config)
