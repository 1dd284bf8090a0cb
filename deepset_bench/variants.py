"""The one door for variants: the product's own and anybody's come through it.

A variant is a function or class at the top level of a file, with one of these decorators and a name
in quotes. Which variants there are is read off the files without running them, so that help and
tables need no torch; a file is imported when one of its variants is built. Parameters that the
configuration has are given by their names; all others have a type and a default, and are keys of
the group: `layers: int = 3` of a network is `model.layers=5` on the command line.

See docs/variants.md; `deepset_bench.testing` holds the physics tests that a variant is to pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def scalar(name: str) -> Callable[[T], T]:
    """A scalar feature: (...) distances in angstrom -> (...); an option of `scalars`."""
    return _unchanged


def radial_basis(name: str) -> Callable[[T], T]:
    """A radial basis: makes a module, (...) distances in angstrom -> (..., size); of `rbf`.

    Given: size, cutoff (angstrom).
    """
    return _unchanged


def graph_layer(
    name: str,
    *,
    divisible_by: int = 1,
    draws_by_edge: bool = True,
    of_neighbours: bool = False,
) -> Callable[[T], T]:
    """A graph layer: makes a module of PyG's interface, (N, F) and (2, E) -> (N, F); of `gnn`.

    Given: width (F), aggregation (where it is a parameter, `aggregation` is read).

    Args:
        name: the option.
        divisible_by: what the width is divisible by.
        draws_by_edge: False says that edges from and to an atom that no other edge touches change
            nothing for the other atoms, and that nothing random is drawn an edge. Tables may then
            be padded and the training compiled.
        of_neighbours: True says that what the layer makes of an atom depends on x_i and on the x_j
            of the edges to it alone (not on how many edges those atoms j have), and that nothing
            random is drawn. Then atoms in like surroundings are computed once.
    """
    return _unchanged


def gate(name: str) -> Callable[[T], T]:
    """A gate of the experts: makes a module, (...) distances -> (..., experts); of `gating`.

    Given: experts, top_k, cutoff. With a method `with_slope`, which returns the derivative by the
    distance, too, it can be part of the fused form.
    """
    return _unchanged


def readout(name: str) -> Callable[[T], T]:
    """A readout: makes a module, X (N, F) and V (N, 3, F) -> (N,); a value of `readout`.

    Given: width (F).
    """
    return _unchanged


def model(
    name: str,
    *,
    divisible_by: int = 1,
    forms: tuple[str, ...] = ("reference",),
    reads: tuple[str, ...] = (),
    width_key: str = "model.width",
    packages: tuple[str, ...] = (),
    masks_edges: bool = False,
) -> Callable[[T], T]:
    """A network: makes a module, (numbers, vectors, edge_index) -> (N,) energies; of `model`.

    numbers (N,), vectors (E, 3) r_i - r_j in angstrom, edge_index (2, E) rows [j, i]. Energies
    without dimension: they are scaled to eV outside, and forces are their gradient.

    Given: cutoff; and what the other groups describe, by these names: scalars, basis, gnn, gate,
    experts, envelope, readout. width, layers and basis_size are keys of the group already.

    Args:
        name: the option.
        divisible_by: what the width is divisible by.
        forms: `fused` where it has methods `prepare` and `energies_and_gradients` of its own
            (see `deepset_bench.model.potential`), `reference` where it has `forward`.
        reads: keys of the configuration that it reads beside its parameters.
        width_key: where its width is from.
        packages: others whose code it is, as pip knows them; a run keeps their versions.
        masks_edges: True says that it picks some of the edges by their values, so that nobody knows
            how many before they are computed. Its training is not compiled.
    """

    def mark(target: T) -> T:
        target.forms = forms  # type: ignore[attr-defined]
        return target

    return mark


def metric(
    name: str,
    *,
    unit: str = "",
    digits: int | None = None,
    less_is_better: bool = True,
    of: str = "frames",
) -> Callable[[T], T]:
    """A metric: (predictions, labels, run) -> number; a column of `bench tables --metric`.

    The three are described in `deepset_bench.scoring.scored`; their arrays are numpy's. A mapping
    of names to numbers is a family, such as a number for each element: a column each. NaN says that
    there is nothing to measure.

    Args:
        name: of the column.
        unit: of the number.
        digits: behind the point. Without it, eV and eV/angstrom are shown in the unit that tables
            are asked for, as the product's own errors are, and anything else has 2.
        less_is_better: which way is better; tables say so where more is.
        of: `frames` is measured on test and validation frames each, and beside it what the mean
            energy and zero force score; `stress` likewise, where frames are labelled with stress;
            `run` once, with the test frames; `potential` likewise, but
            only when `bench evaluate RUN --metric NAME` asks for it, for it needs the trained
            potential, which `run.folder` holds, or long.
    """
    return _unchanged


def reader(
    name: str,
    *,
    begins: bytes,
    suffixes: tuple[str, ...] = (),
    takes: tuple[str, ...] = (),
    slow: bool = True,
) -> Callable[[T], T]:
    """A reader of files: (path, name, options, unlabelled) -> `Reading`; see `bench data import`.

    `deepset_bench.readers.ase_files.from_images` makes a `Reading` of ASE's atoms, with what they
    hold as labels, units, charge and spin.

    Args:
        name: of the format, for messages.
        begins: a regular expression that the content of its files begins with, unpacked.
        suffixes: ends of names whose files are of this format where their content is of none.
        takes: options that mean something to it alone, of `elements` and `formula`.
        slow: whether reading is slower than finding what was read before.
    """
    return _unchanged


def executor(name: str) -> Callable[[T], T]:
    """Where a sweep's runs are trained: (runs, jobs, stack, settings) -> `Executor`.

    `bench sweep executor=NAME` asks for it; see `deepset_bench.sweep.executors.executor`. jobs at
    once, and runs a job, are None where the executor is to choose. settings are the keys of its
    option of the group `executor`.
    """
    return _unchanged


def _unchanged(target: T) -> T:
    return target
