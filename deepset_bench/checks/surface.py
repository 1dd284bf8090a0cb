"""A smooth energy surface laid through labels: what each should be, given all the others.

A Gaussian process: energies are values, and forces exact derivatives, of one random function of
the inverse distances x between the atoms, of covariance 1 / (1 + |x - x'|^2 / 2 l^2). Chmiela et
al., Sci. Adv. 2017, 3, e1603015, for forces; Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, chapter 5.4, for the choice of its constants and for what is left out. It needs no
method to compare with, and its errors are known, so that little is enough to contradict it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, lapack, solve_triangular

from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.one_molecule import Group

LARGEST, LEAST = 2400, 20
"""Force components that one surface is laid through at most, and frames at least."""
REACH = 0.1
"""Angstrom: forces off by so much make energies off by so much times this, of frames this apart."""
_LENGTHS = (2.0, 4.0, 8.0)  # of the median distance in x
_NOISES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)  # of the root mean square force; the least is DFT's
_HEIGHTS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # of its square
_CHOSEN_FROM = 700  # components that the constants are chosen from
_LEVEL = 1e4  # eV: the energies' common constant is unknown


@dataclass(frozen=True)
class Prior:
    """The constants of the process.

    Attributes:
        length: l, in units of the median distance of two frames.
        height: variance of the energy, eV^2.
        noise: of each component of a force that no smooth surface explains, eV/angstrom.
    """

    length: float
    height: float
    noise: float


class Surface:
    """Covariances of the labels of m frames of n atoms.

    A label vector has the m * 3n force components first, then the m energies.

    Args:
        group: the frames, no two of them the same.
    """

    def __init__(self, group: Group) -> None:
        m, n = group.positions.shape[:2]
        self.group, self.m, self.q = group, m, 3 * n
        self.forces = group.forces.reshape(-1)
        self.scale = float(np.sqrt((self.forces**2).mean()))
        self.i, self.j = np.triu_indices(n, k=1)
        vectors = group.positions[:, self.i] - group.positions[:, self.j]
        self.distances = np.linalg.norm(vectors, axis=-1)
        x = 1 / self.distances
        slope = -vectors * x[..., None] ** 3
        jacobian = np.zeros((m, n, 3, len(self.i)))
        pair = np.arange(len(self.i))
        jacobian[:, self.i, :, pair] += slope.transpose(1, 0, 2)
        jacobian[:, self.j, :, pair] -= slope.transpose(1, 0, 2)
        self.jacobian = jacobian.reshape(m, self.q, -1)
        flat = self.jacobian.reshape(m * self.q, -1)
        along = (flat @ x.T).reshape(m, self.q, m)
        self._products = (flat @ flat.T).reshape(m, self.q, m, self.q)
        self._along = along[np.arange(m), :, np.arange(m)][:, :, None] - along  # J_i (x_i - x_j)
        squares = (x**2).sum(axis=1)
        self._squared = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)
        np.fill_diagonal(self._squared, 0)
        self._unit = float(np.median(self._squared[np.triu_indices(m, k=1)]))
        self._curvature = float((self.jacobian**2).sum(axis=(1, 2)).mean()) / self.q / self._unit

    def covariance(self, rows: IntArray, length: float) -> FloatArray:
        """Of the labels of some frames, for a height of one."""
        m, q = len(rows), self.q
        square = self._unit * length**2
        k = 1 / (1 + self._squared[np.ix_(rows, rows)] / (2 * square))
        first, second = k**2 / square, 2 * k**3 / square**2
        along = self._along[rows][:, :, rows]
        across = -along.transpose(2, 0, 1)  # (m, m, q): J_j (x_i - x_j)
        whole = np.arange(self.m)
        products = self._products
        if not np.array_equal(rows, whole):
            products = products[rows][:, :, rows]
        covariance = np.empty((m * (q + 1),) * 2)
        forces = products * first[:, None, :, None]
        forces -= (second[:, None] * along)[..., None] * across[:, None]
        covariance[: m * q, : m * q] = forces.reshape(m * q, m * q)
        mixed = (-first[..., None] * across).reshape(m, m * q)
        covariance[m * q :, : m * q] = mixed
        covariance[: m * q, m * q :] = mixed.T
        covariance[m * q :, m * q :] = k
        return covariance

    def labels(self, energy: FloatArray, rows: IntArray) -> FloatArray:
        """The label vector of some frames."""
        return np.concatenate([self.forces.reshape(self.m, -1)[rows].ravel(), energy[rows]])

    def prior(self, energy: FloatArray, rows: IntArray) -> Prior:
        """The likeliest constants for the labels of some frames, energies (m,) in eV."""
        some = max(LEAST // 2, _CHOSEN_FROM // self.q)
        if len(rows) > some:
            rows = rows[np.linspace(0, len(rows) - 1, some).round().astype(int)]
        m = len(rows)
        weight = np.concatenate([np.ones(m * self.q), np.full(m, 1 / REACH)])
        centre = np.eye(m) - 1 / m
        labels = weight * self.labels(energy, rows)
        labels[-m:] = centre @ labels[-m:]
        best, found = -np.inf, Prior(1.0, 1.0, 1.0)
        for length in _LENGTHS:
            curvature = self._curvature / length**2
            covariance = self.covariance(rows, length) * weight[:, None] * weight / curvature
            covariance[-m:] = centre @ covariance[-m:]
            covariance[:, -m:] = covariance[:, -m:] @ centre
            values, vectors = np.linalg.eigh(covariance)
            squares = (vectors.T @ labels) ** 2
            for noise in _NOISES:
                for height in _HEIGHTS:
                    variance = self.scale**2 * (height * np.maximum(values, 0) + noise**2)
                    likelihood = -float(np.log(variance).sum() + (squares / variance).sum()) / 2
                    if likelihood > best:
                        best = likelihood
                        height_ev = self.scale**2 * height / curvature
                        found = Prior(length, height_ev, noise * self.scale)
        return found

    def factor(self, prior: Prior) -> FloatArray:
        """Lower Cholesky factor of the covariance of all labels with their noise.

        Raises:
            LinAlgError: it is not positive definite to working precision.
        """
        covariance = self.covariance(np.arange(self.m), prior.length) * prior.height
        noise = [np.full(self.m * self.q, prior.noise), np.full(self.m, REACH * prior.noise)]
        covariance.flat[:: len(covariance) + 1] += np.concatenate(noise) ** 2
        factor, failed = lapack.dpotrf(covariance, lower=1, clean=1, overwrite_a=1)
        if failed:
            raise LinAlgError("the covariance of the labels is not positive definite")
        found: FloatArray = factor
        return found


@dataclass(frozen=True, eq=False)
class Whitened:
    """Energies against the surface through all forces, in units of its own error, independent.

    Attributes:
        factor: (m, m) of the covariance of the energies given the forces, eV.
        rest: (m,) label minus surface, whitened, the constant taken out.
        surface: (m,) energies of the surface, eV.
    """

    factor: FloatArray
    rest: FloatArray
    surface: FloatArray
    _constant: FloatArray

    @property
    def work(self) -> FloatArray:
        """(m,) the energies of the surface, whitened."""
        found: FloatArray = self.whiten(self.surface[:, None] - self.surface.mean())[:, 0]
        return found

    def whiten(self, columns: FloatArray) -> FloatArray:
        """(m, c) possible parts of the energies, whitened, the constant taken out."""
        found = solve_triangular(self.factor, columns, lower=True)
        found -= np.outer(self._constant, self._constant @ found)
        return found


def energies_given_forces(surface: Surface, factor: FloatArray, energy: FloatArray) -> Whitened:
    """What the energies hold that the forces do not explain."""
    m, components = surface.m, len(surface.forces)
    labels = surface.labels(energy, np.arange(m))
    last = factor[components:, components:]
    rest = solve_triangular(factor, labels, lower=True)[components:]
    constant = solve_triangular(last, np.ones(m), lower=True)
    constant /= np.linalg.norm(constant)
    return Whitened(last, rest - constant * (constant @ rest), energy - last @ rest, constant)


@dataclass(frozen=True, eq=False)
class Residues:
    """What each frame's labels are off by from those of all other frames.

    Attributes:
        stretch: (m, d) forces along directions, in standard errors of the surface.
        force: (m,) root mean square component of the force that is off, eV/angstrom.
        chi: (m,) its mean square in units of the surface's error.
        energy: (m,) energy in standard errors.
        energy_ev: (m,) the same in eV.
    """

    stretch: FloatArray
    force: FloatArray
    chi: FloatArray
    energy: FloatArray
    energy_ev: FloatArray


class LeftOut:
    """The labels of a set given one another; frames can be taken out for good.

    Args:
        surface: the covariances.
        factor: of all labels; it is overwritten.
        energy: (m,) in eV.
    """

    def __init__(self, surface: Surface, factor: FloatArray, energy: FloatArray) -> None:
        self.surface = surface
        self.left = np.arange(surface.m)
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        inverse += np.tril(inverse, -1).T - np.triu(inverse, 1)
        components = len(surface.forces)
        total = inverse[:, components:].sum(axis=1)
        inverse -= np.outer(total, total) / total[components:].sum()
        self._inverse = inverse
        self._weights = inverse @ surface.labels(energy, self.left)
        self._directions = stretches(surface)

    def residues(self) -> Residues:
        """Of the frames that are left; zero for those taken out."""
        surface, q = self.surface, self.surface.q
        m, d = surface.m, self._directions.shape[-1]
        stretch, force, chi = np.zeros((m, d)), np.zeros(m), np.zeros(m)
        for row in self.left:
            own = slice(row * q, (row + 1) * q)
            block, weights = self._inverse[own, own], self._weights[own]
            off = np.linalg.solve(block + 1e-10 * np.trace(block) / q * np.eye(q), weights)
            force[row], chi[row] = np.sqrt((off**2).mean()), weights @ off / q
            directions = self._directions[row]
            error = np.sqrt(np.einsum("qd,qd->d", directions, block @ directions))
            stretch[row] = directions.T @ weights / error
        energies = len(surface.forces) + self.left
        weights, precision = self._weights[energies], np.diag(self._inverse)[energies]
        energy, energy_ev = np.zeros(m), np.zeros(m)
        energy[self.left] = weights / np.sqrt(precision)
        energy_ev[self.left] = weights / precision
        return Residues(stretch, force, chi, energy, energy_ev)

    def wrong(self, row: int) -> str:
        """Which label of a frame those of the other frames contradict more: `energy` or `forces`.

        An energy that does not fit the forces of its own frame does not tell.
        """
        own = self._own(row)
        covariance = np.linalg.inv(self._inverse[np.ix_(own, own)])
        off = covariance @ self._weights[own]
        forces = off[:-1] @ np.linalg.solve(covariance[:-1, :-1], off[:-1]) / (len(own) - 1)
        return "energy" if off[-1] ** 2 / covariance[-1, -1] > forces else "forces"

    def _own(self, row: int) -> IntArray:
        """Where the labels of a frame are: its forces, then its energy."""
        q = self.surface.q
        return np.r_[row * q : (row + 1) * q, len(self.surface.forces) + row]

    def take_out(self, row: int) -> None:
        """Forget the labels of one frame."""
        own = self._own(row)
        columns = self._inverse[:, own]
        block = np.linalg.inv(columns[own])
        self._weights = self._weights - columns @ (block @ self._weights[own])
        self._inverse -= columns @ block @ columns.T
        self.left = self.left[self.left != row]


def stretches(surface: Surface) -> FloatArray:
    """(m, q, d): forces that part each pair of atoms, then those that part all bonds of a kind.

    Another method makes all bonds of a kind a little longer or shorter.
    """
    pairs = surface.jacobian / np.linalg.norm(surface.jacobian, axis=1, keepdims=True)
    group = surface.group
    bonded, _ = group.bonds
    numbers = np.sort(group.numbers[bonded], axis=1)
    n = len(group.numbers)
    column = {(i, j): k for k, (i, j) in enumerate(zip(surface.i, surface.j, strict=True))}
    of_kind = [
        [column[i, j] for i, j in bonded[(numbers == kind).all(axis=1)].tolist()]
        for kind in np.unique(numbers, axis=0)
    ]
    kinds = [pairs[:, :, columns].sum(axis=2) for columns in of_kind if len(columns) > 1]
    assert len(surface.i) == n * (n - 1) // 2
    return np.concatenate([pairs, *[kind[..., None] for kind in kinds]], axis=2)
