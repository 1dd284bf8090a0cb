"""Several seeds of one variant trained as one model with stacked parameters.

A step this small leaves a GPU idle between launches; n runs stacked along a leading axis cost
little more than one. Every run keeps its own initialisation, split, data order, learning rate and
loss, and no operation mixes runs, so each is what it would have been alone, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from deepset_bench.denormals import flushed
from deepset_bench.model.batches import Batch, Tables
from deepset_bench.model.drawn import of_step, set_drawn
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.schema import Config
from deepset_bench.training.adamw import AdamW
from deepset_bench.training.compilation import Graph, compiled, first_line, trace
from deepset_bench.training.compiled import errors, flatten, gradients, named, of_tensors
from deepset_bench.training.loss import Target
from deepset_bench.training.setup import Setup, evaluation_batch
from deepset_bench.training.step import Measured, sums

OF_ALL_FRAMES = "kind_numbers", "kind_edges", "expansion"
"""Tensors of a batch that have no row for each atom."""


class StackedOptimisation:
    """n runs of one variant that differ in the seed alone; see `Optimisation`.

    Args:
        setups: the runs; molecules, elements, sizes of the parts and the one
            shape of their tables are the same in all.
        configs: their configurations.
        compile_steps: whether to compile the training step.
        say: takes the line that explains why it could not be compiled.
        on_eager: called when that shows, before any more is computed.
    """

    def __init__(
        self,
        setups: Sequence[Setup],
        configs: Sequence[Config],
        *,
        compile_steps: bool,
        say: Callable[[str], object],
        on_eager: Callable[[], None] = lambda: None,
    ) -> None:
        self.setups, self.configs, self.config = setups, configs, configs[0]
        self.compile_steps, self.say, self.on_eager = compile_steps, say, on_eager
        self.device = setups[0].device
        self.parameters = torch.stack([flatten(setup.potential) for setup in setups])  # (n, P)
        buffers = [dict(setup.potential.named_buffers()) for setup in setups]
        self.buffers = {name: torch.stack([b[name] for b in buffers]) for name in buffers[0]}
        trainer = configs[0].trainer
        self.optimizer = AdamW(list(self.parameters), trainer.learning_rate, trainer.weight_decay)
        self.steps = 0
        losses = [setup.loss for setup in setups]
        atoms = [loss.mean_atoms for loss in losses if loss.mean_atoms is not None]
        self.loss = replace(
            losses[0],
            energy_unit=torch.stack([loss.energy_unit for loss in losses]),
            forces_unit=torch.stack([loss.forces_unit for loss in losses]),
            stress_unit=torch.stack([loss.stress_unit for loss in losses]),
            averages={},
            mean_atoms=None if losses[0].mean_atoms is None else torch.stack(atoms),
        )
        self.parts = {stage: _Stack(setups, stage) for stage in ("train", "val")}
        self.graphs: dict[tuple[str, int], Graph] = {}

    @flushed()
    def train(self, frames: Sequence[Tensor], rates: Sequence[float]) -> Tensor:
        """See `Optimisation`."""
        anew = [of_step(config.seed, self.steps) for config in self.configs]
        set_drawn(self.buffers, torch.tensor(anew))
        self.steps += 1
        found, measured = self._run("train", torch.stack(list(frames)))
        self.optimizer.step(list(found), rates)
        return sums(self.loss.value("train", measured), measured, len(frames[0]))

    @flushed()
    def validate(self) -> list[Measured]:
        """See `Optimisation`."""
        n_val = len(self.setups[0].parts["val"])
        total = torch.zeros(len(self.setups), 3, device=self.device)
        for frames in torch.arange(n_val, device=self.device).split(evaluation_batch(self.config)):
            measured = self._run("val", frames.expand(len(self.setups), -1))
            total += sums(self.loss.value("val", measured), measured, len(frames))
        return [Measured(*row) for row in (total / n_val).tolist()]

    def state(self, run: int) -> dict[str, Any]:
        """See `Optimisation`; the same keys and tensors that the run alone would have."""
        potential = self.setups[run].potential
        trained = named(self.parameters[run].clone(), potential)
        return {
            "potential": {**potential.state_dict(), **trained},
            "optimizer": self.optimizer.state(run),
            "averages": {stage: value[run] for stage, value in self.loss.averages.items()},
        }

    def restore(self, run: int, state: dict[str, Any]) -> None:
        """See `Optimisation`; all runs are to be restored at the same number of steps."""
        names = dict(self.setups[run].potential.named_parameters())
        self.parameters[run] = torch.cat([state["potential"][name].flatten() for name in names])
        self.optimizer.restore(run, state["optimizer"])
        self.steps = int(state["optimizer"]["state"][0]["step"])
        for stage, value in state["averages"].items():
            kept = self.loss.averages.setdefault(stage, value.repeat(len(self.setups)))
            kept[run] = value

    def _run(self, stage: str, frames: Tensor) -> Any:
        """Gradients and `terms` of a training batch (n, B), `terms` of a validation batch."""
        batch, target = self.parts[stage].gather(frames)
        numbers = batch.numbers.unflatten(1, (frames.shape[1], -1))
        units = self.loss.energy_units(numbers), self.loss.forces_unit
        target |= {"energy_unit": units[0], "forces_unit": units[1]}
        if "stress" in target:
            target["stress_unit"] = self.loss.stress_unit
        given = (self.parameters, self.buffers, batch.tensors(), target)
        shape = (stage, frames.shape[1])
        with torch.no_grad():
            if shape not in self.graphs:
                self.graphs[shape] = self._stacked(shape, batch, given)
            return self.graphs[shape](*given)

    def _stacked(self, shape: tuple[str, int], batch: Batch, given: tuple[Any, ...]) -> Graph:
        """What one run does to a batch, traced and done to all; compiled for whole batches."""
        potential = self.setups[0].potential.train(shape[0] == "train")
        compute = gradients(potential, self.loss, self.config.trainer.gradient_clip)
        alone = of_tensors(compute if shape[0] == "train" else errors(potential), batch)

        def all_at_once() -> Graph:
            of_one = ({name: t[0] for name, t in stack.items()} for stack in given[1:])
            vectorised: Graph = torch.func.vmap(trace(alone, given[0][0], *of_one))
            return vectorised

        if self.compile_steps and shape == ("train", self.config.trainer.batch_size):
            try:
                return compiled(alone, *given, prepared=all_at_once)
            except Exception as error:  # whatever the platform's compiler raises
                self.say(f"not compiled: {first_line(error)}")
                self.on_eager()
        return all_at_once()


class _Stack:
    """The frames of one stage of all runs, one run after another in one set of tables."""

    def __init__(self, setups: Sequence[Setup], stage: str) -> None:
        parts = [cast("LabelledTables", setup.parts[stage]) for setup in setups]
        self.size = len(parts[0])
        of_runs = [part.tables.tables[0] for part in parts]
        self.tables = Tables.concatenate(of_runs)
        if any(tables is not tables.as_found() for tables in of_runs):
            self.tables = setups[0].potential.prepare(self.tables, again=True)
        self.energy = torch.cat([part.energy for part in parts])
        self.forces = torch.cat([part.forces[0] for part in parts])
        stress = [part.stress for part in parts if part.stress is not None]
        self.stress = torch.cat(stress) if stress else None

    def gather(self, frames: Tensor) -> tuple[Batch, Target]:
        """(n, B) frames of each run -> batch tensors (n, N, ...), energies (n, B), forces."""
        n, B = frames.shape
        run = torch.arange(n, device=frames.device)[:, None]
        rows = (frames + run * self.size).flatten()
        batch = self.tables.gather(rows)
        N, J = len(batch.numbers) // n, batch.neighbours.shape[1]
        split = {
            # What was found in the frames of all runs together.
            name: t.expand(n, *t.shape) if name in OF_ALL_FRAMES else t.unflatten(0, (n, -1))
            for name, t in batch.tensors().items()
        }
        split["neighbours"] = split["neighbours"] - run[..., None] * N
        split["reverse"] = split["reverse"] - run[..., None] * (N * J)
        stacked: dict[str, Any] = {**split, "n_frames": B}
        target = {"energy": self.energy[rows].view(n, B), "forces": self.forces[rows].view(n, N, 3)}
        if self.stress is not None:
            target["stress"] = self.stress[rows].view(n, B, 3, 3)
        return replace(batch, **stacked), target
