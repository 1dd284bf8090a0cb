"""Two gated equivariant blocks with the gradient by their input, and that once differentiated.

The same function as `EquivariantReadout`, as a training step needs it: energies, their gradient
(for the forces) and the derivative of both by every parameter. Autograd through its own gradient
does the same in five times as many operations. Dots are derivatives along the direction that the
cotangent of the gradient is: what a loss says of the gradient is a derivative of the energies in
that direction (Pearlmutter 1994), and the adjoints of what is dotted are the gradient itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Blocks(NamedTuple):
    """The parameters behind the first maps, F -> F/2 -> 1; of the last block what the energy needs.

    H, b: (F, F), (F,) of |V W_1|; O, c: (F, F), (F,) to [y ; q].
    W_2, H_x2, H_n2, b_2: (F/2, F/2), (F/2, F/2), (F/2, F/2), (F/2,) of the second block.
    o, c_2: (F/2,), () to the energy.
    """

    H: Tensor
    b: Tensor
    O: Tensor  # noqa: E741
    c: Tensor
    W_2: Tensor
    H_x2: Tensor
    H_n2: Tensor
    b_2: Tensor
    o: Tensor
    c_2: Tensor


def with_gradient(U: Tensor, P: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor, Tensor]:
    """Energies (N,) and their gradients by what the first maps say.

    Args:
        U: (N, 3, F + F/2) V W_1 and V W_2.
        P: (N, F) what the first hidden layer gets of X.
        blocks: what follows.
    """
    found: tuple[Tensor, Tensor, Tensor] = _Gated.apply(U, P, *blocks)
    return found


def _length(U: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3, F) -> lengths (N, F) and one over them, zero for zero."""
    square = (U * U).sum(1)
    inverse = torch.where(square == 0, 0.0, square.rsqrt())
    return square * inverse, inverse


def _silu(x: Tensor) -> tuple[Tensor, Tensor]:
    """SiLU and its first derivative."""
    s = torch.sigmoid(x)
    value = x * s
    return value, s + value * (1 - s)


def _silu_curvature(x: Tensor) -> Tensor:
    """SiLU's second derivative."""
    s = torch.sigmoid(x)
    return s * (1 - s) * (2 + x * (1 - 2 * s))


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, U: Tensor, P: Tensor, *blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        w = Blocks(*blocks)
        F = P.shape[1]
        U_1, v = U[..., :F], U[..., F:]
        n_1, inverse_1 = _length(U_1)
        p = torch.addmm(P, n_1, w.H.T) + w.b
        s, slope = _silu(p)
        y, q = torch.addmm(w.c, s, w.O.T).chunk(2, dim=1)
        x, slope_y = _silu(y)
        V = q[:, None] * v
        U_2 = V @ w.W_2.T
        n_2, inverse_2 = _length(U_2)
        p_2 = torch.addmm(torch.addmm(w.b_2, x, w.H_x2.T), n_2, w.H_n2.T)
        s_2, slope_2 = _silu(p_2)
        e = torch.mv(s_2, w.o) + w.c_2

        dp_2 = w.o * slope_2
        dx = dp_2 @ w.H_x2
        r_2 = (dp_2 @ w.H_n2) * inverse_2
        dU_2 = r_2[:, None] * U_2
        dV = dU_2 @ w.W_2
        do = torch.cat([dx * slope_y, (dV * v).sum(1)], dim=1)
        ds = do @ w.O
        dp = ds * slope
        r_1 = (dp @ w.H) * inverse_1
        dU = torch.cat([r_1[:, None] * U_1, q[:, None] * dV], dim=2)
        ctx.save_for_backward(
            *(U, n_1, inverse_1, p, s, slope, y, q, x, slope_y, V, U_2, n_2, inverse_2),
            *(p_2, s_2, slope_2, dp_2, dx, r_2, dU_2, dV, do, ds, dp, r_1, *blocks),
        )
        return e, dU, dp

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        e_, U_dot, P_dot = given
        U, n_1, inverse_1, p, s, slope, y, q, x, slope_y, V, U_2, n_2, inverse_2 = (
            ctx.saved_tensors[:14]
        )
        p_2, s_2, slope_2, dp_2, dx, r_2, dU_2, dV, do, ds, dp, r_1 = ctx.saved_tensors[14:26]
        w = Blocks(*ctx.saved_tensors[26:])
        F = p.shape[1]
        U_1, v = U[..., :F], U[..., F:]

        U_1_dot, v_dot = U_dot[..., :F], U_dot[..., F:]
        n_1_dot = (U_1 * U_1_dot).sum(1) * inverse_1
        p_dot = torch.addmm(P_dot, n_1_dot, w.H.T)
        s_dot = slope * p_dot
        y_dot, q_dot = (s_dot @ w.O.T).chunk(2, dim=1)
        x_dot = slope_y * y_dot
        V_dot = q_dot[:, None] * v + q[:, None] * v_dot
        U_2_dot = V_dot @ w.W_2.T
        n_2_dot = (U_2 * U_2_dot).sum(1) * inverse_2
        p_2_dot = torch.addmm(x_dot @ w.H_x2.T, n_2_dot, w.H_n2.T)

        # From here on adjoints; a name with _ is that of the name before it.
        o_ = torch.mv(s_2.T, e_) + (slope_2 * p_2_dot).sum(0)
        p_2_ = w.o * (e_[:, None] * slope_2 + _silu_curvature(p_2) * p_2_dot)
        H_x2_ = torch.addmm(p_2_.T @ x, dp_2.T, x_dot)
        H_n2_ = torch.addmm(p_2_.T @ n_2, dp_2.T, n_2_dot)
        along = inverse_2 * (p_2_ @ w.H_n2 - r_2 * n_2_dot)
        U_2_ = along[:, None] * U_2 + r_2[:, None] * U_2_dot
        W_2_ = torch.addmm(
            U_2_.flatten(0, 1).T @ V.flatten(0, 1), dU_2.flatten(0, 1).T, V_dot.flatten(0, 1)
        )
        V_ = U_2_ @ w.W_2
        q_ = (V_ * v + dV * v_dot).sum(1)
        y_ = (p_2_ @ w.H_x2) * slope_y + dx * _silu_curvature(y) * y_dot
        yq_ = torch.cat([y_, q_], dim=1)
        O_ = torch.addmm(yq_.T @ s, do.T, s_dot)
        p_ = (yq_ @ w.O) * slope + ds * _silu_curvature(p) * p_dot
        H_ = torch.addmm(p_.T @ n_1, dp.T, n_1_dot)
        along = inverse_1 * (p_ @ w.H - r_1 * n_1_dot)
        U_ = torch.cat(
            [
                along[:, None] * U_1 + r_1[:, None] * U_1_dot,
                q[:, None] * V_ + q_dot[:, None] * dV,
            ],
            dim=2,
        )
        of_blocks = Blocks(
            *(H_, p_.sum(0), O_, yq_.sum(0)),
            *(W_2_, H_x2_, H_n2_, p_2_.sum(0), o_, e_.sum()),
        )
        return U_, p_, *of_blocks
