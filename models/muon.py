"""Muon (Jordan et al., 2024), the optimiser of hidden kernels: every update has singular values of about one."""

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024): torch's own computes in bfloat16, which many processors only emulate.

    Args:
        decay: of the weights, times the learning rate: it bounds the singular values by about its inverse.
        kind: to compute in.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float, decay: float, kind: torch.dtype) -> None:
        super().__init__(matrices, {"lr": lr, "decay": decay})
        self._kind = kind

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrices in alike(group["params"]):
                momenta = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
                gradients = [m.grad for m in matrices if m.grad is not None]
                torch._foreach_lerp_(momenta, gradients, 0.05)
                updates = torch.stack(torch._foreach_lerp(gradients, momenta, 0.95))
                updates = orthogonalise(updates.to(self._kind)).to(updates.dtype)
                rows, columns = matrices[0].shape
                pace = group["lr"] * max(1, rows / columns) ** 0.5
                torch._foreach_mul_([*matrices], 1 - group["lr"] * group["decay"])
                torch._foreach_add_([*matrices], list(updates), alpha=-pace)


def alike(matrices: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those of one shape together."""
    groups: dict[torch.Size, list[nn.Parameter]] = {}
    for matrix in matrices:
        groups.setdefault(matrix.shape, []).append(matrix)
    return list(groups.values())


def orthogonalise(matrices: Tensor) -> Tensor:
    """About the nearest matrices (N, rows, columns) with singular values of one.

    Five Newton-Schulz steps with Jordan's coefficients.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    wide = wide / wide.float().norm(dim=(1, 2), keepdim=True).clamp_min(1e-7).to(wide.dtype)
    for _ in range(5):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315), wide, beta=3.4445)
    return wide.mT if tall else wide
