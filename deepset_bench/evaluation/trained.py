"""A trained potential, as its run folder holds it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from deepset_bench.config import Experiment
from deepset_bench.config_file import load_config
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.denormals import start_threads
from deepset_bench.deployment.domain import Domain
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import digest
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.model.energy_reference import EnergyReference, distinct_molecules
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.molecules.selected import part
from deepset_bench.record import DATA
from deepset_bench.runs import RunFolder, named_run
from deepset_bench.schema import Config
from deepset_bench.training import checkpoint
from deepset_bench.training.setup import build_potential, choose_device


@dataclass(frozen=True)
class History:
    """What a run was trained on: the whole set and its parts."""

    frames: Frames
    split: Split


@dataclass(frozen=True)
class Trained:
    """What a run has learned.

    Attributes:
        folder: of the run.
        potential: the parameters of the best epoch, in eval mode and in the fused form
            (the same function whichever form it was trained in).
        reference: what to add to the potential's energies.
        config: the configuration of the run.
        checksums: name -> SHA-256 of each set that it was trained on; None where that is not known:
            an unfinished run, or one of an earlier version, whose data have changed since.
    """

    folder: RunFolder
    potential: Potential
    reference: EnergyReference
    config: Config
    checksums: dict[str, str] | None

    @cached_property
    def history(self) -> History | None:
        """What the run was trained on; None where its data or this program have changed since."""
        sets = self.config.sets
        if not set(sets) <= set(catalogue.names()):
            return None
        now = Experiment(self.config, "", {}).identity(catalogue.checksum(*sets))
        if self.folder.identity() != now:
            return None
        return History(catalogue.load(sets[0]), Split.load(self.folder.split))

    @cached_property
    def pasts(self) -> list[History | None]:
        """`history`, and that of each run whose weights it started from, `init=`, the last first.

        A None at its end: which weights these were, or what they were trained on, is not known.
        """
        if self.config.init is None:
            return [self.history]
        source = named_run(self.config.init, self.config.runs_dir)
        try:
            if digest([source.best]) != self.config.init_sha256:
                return [self.history, None]
            return [self.history, *load_trained(source.path, "cpu").pasts]
        except (OSError, UserError):
            return [self.history, None]

    @cached_property
    def molecules(self) -> IntArray | None:
        """`distinct_molecules` of training; None where neither checkpoint nor data tell."""
        if self.reference.molecules is not None or self.history is None:
            return self.reference.molecules
        return distinct_molecules(part(self.history.frames, self.history.split.train))

    @cached_property
    def domain(self) -> Domain:
        """What the run was trained on, and so what it can be asked."""
        species, kind = self.reference.species, self.config.reference.kind
        return Domain(species, kind, self.reference.rank, self.molecules)

    def tables(self, frames: Frames, batch_size: int) -> Buckets:
        """Unlabelled frames prepared for the potential, on its device and in its precision.

        Args:
            frames: any.
            batch_size: how many of them will be gathered at once.

        Raises:
            UserError: a frame holds an element that was not in training.
        """
        self.domain.check_elements(frames.numbers)
        device = self.potential.species.device
        tables = Buckets.build(
            frames,
            self.config.cutoff,
            table_shapes(frames, self.config.cutoff, batch_size, device.type),
            dtype=next(self.potential.parameters()).dtype,
            every_second=self.config.every_second,
        )
        return tables.to(device).change(self.potential.prepare)


def load_trained(
    run: Path, device: str = "auto", without: Collection[str] = (), *, finite: bool = True
) -> Trained:
    """The trained potential of a run folder.

    Args:
        run: a folder with `config.yaml` and `best.pt`; the run need not have ended.
        device: as in the configuration; not the one that the run was trained on.
        without: dotted keys of its configuration to leave out.
        finite: whether parameters that are NaN or infinite are refused.

    Raises:
        UserError: either file is missing, damaged, or does not fit the other.
    """
    start_threads()
    folder, place = RunFolder(run), choose_device(device)
    config = load_config(folder.config, without)
    best = checkpoint.load(folder.best, torch.device("cpu"))  # the reference is in float64
    try:
        if folder.identity() not in ("", best.get("run", folder.identity())):
            raise ValueError("it is of another run")
        state = best["potential"]
        species = checkpoint.unpack_species(state)
        scale = float(checkpoint.check_tensor(state, "scale", (), True, finite=finite))
        if scale <= 0:
            raise ValueError("scale is not positive")
        potential = build_potential(replace(config, form="fused"), species, scale)
        checkpoint.check_parameters(state, potential, finite=finite)
        potential.load_state_dict(state)
        reference = checkpoint.unpack_reference(best["reference"], species)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder.best}: does not fit {folder.config.name} ({one_line(error)})"
        ) from None
    checksums = folder.result().get(DATA) or _unchanged(config, str(best.get("run")))
    potential = potential.to(place).eval().requires_grad_(False)
    return Trained(folder, potential, reference, config, checksums)


def _unchanged(config: Config, identity: str) -> dict[str, str] | None:
    """Checksums of the sets as they are now, if a run of this identity was trained on them."""
    if not set(config.sets) <= set(catalogue.names()):
        return None
    now = catalogue.checksums(config.sets)
    same = Experiment(config, "", {}).identity("+".join(now.values())) == identity
    return now if same else None
