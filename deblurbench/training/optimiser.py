"""Adam, as the papers train with, or Muon for the kernels of the convolutions, for trainings of minutes.

Muon steps along the orthogonalised momentum of each kernel, read as a matrix of one row an output channel: all singular
values of a step are brought near 1, so that rare directions move as far as common ones. K. Jordan and others, "Muon: an
optimizer for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/. Biases, norms, and
layers that read or write a picture (fewer than MIXES channels on either side) stay with Adam, as its authors advise.

torch.optim.Muon takes matrices only, and iterates in bfloat16, which processors without bfloat16 arithmetic emulate:
the twelve 80x720 kernels of one IFI-RNN cell cost 0.41 s a step there and 0.024 s in float32, beside 0.45 s for the
step itself. So it is written here once more, and iterates in bfloat16 only where the device multiplies it: with AMX, or
with AVX-512 BF16 (EPYC Zen 5: 7 ms, in float32 17 ms). Kernels of one shape are taken together.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from deblurbench.training.recipe import Recipe

MIXES = 8
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """Matrices (..., rows, columns) with singular values brought to between 0.7 and 1.2 by Newton-Schulz iterations.

    The singular vectors stay. Zero stays zero. The result has the matrix's dtype.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    wide = matrix.mT if tall else matrix
    wide = (wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(_quick_dtype(matrix))
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide.mT if tall else wide).to(matrix.dtype)


def _quick_dtype(matrix: Tensor) -> torch.dtype:
    """bfloat16 for float32 where the device multiplies matrices in it; otherwise the matrix's own."""
    quick = matrix.device.type == "cuda" or multiplies_bfloat16()
    return torch.bfloat16 if quick and matrix.dtype == torch.float32 else matrix.dtype


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16 matrices, which make it faster than float32.

    AMX, or the dot products of AVX-512 BF16 on processors with full-width units (measured on AMD Zen 5).
    """
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer torch has it
    able = capabilities() if capabilities else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions and more; the first is taken for the matrix's rows, the rest for its columns."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with Nesterov's momentum. A matrix taller than wide steps further, by the root of the ratio."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = {}
            for kernel in group["params"]:
                if kernel.grad is not None:
                    alike.setdefault((kernel.shape[0], kernel[0].numel()), []).append(kernel)
            for (rows, columns), kernels in alike.items():
                ahead = torch.stack([self._ahead(kernel, group["momentum"]) for kernel in kernels])
                rate = group["lr"] * math.sqrt(max(1.0, rows / columns))
                for kernel, direction in zip(kernels, orthogonalised(ahead), strict=True):
                    kernel.add_(direction.reshape(kernel.shape), alpha=-rate)

    def _ahead(self, kernel: Tensor, momentum: float) -> Tensor:
        """The kernel's momentum with its new gradient, one step ahead, as a matrix (rows, columns)."""
        state, gradient = self.state[kernel], kernel.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        mean = state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(mean, momentum).reshape(kernel.shape[0], -1)


class Together:
    """Optimisers of different parameters of one network, used as one.

    A group's `scale` is what the schedule's learning rate is multiplied by for it.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts

    def set_rate(self, rate: float) -> None:
        """Set the schedule's learning rate."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One step of each."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes; as the optimiser's own where there is only one."""
        states = [part.state_dict() for part in self._parts]
        return states[0] if len(states) == 1 else {"parts": states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        for part, mine in zip(self._parts, state.get("parts", [state]), strict=True):
            part.load_state_dict(mine)


def make_optimiser(module: nn.Module, recipe: Recipe) -> Together:
    """The optimiser that a recipe names, for all parameters of a module."""
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in module.parameters():
        mixes = recipe.optimiser == "muon" and parameter.ndim == 4 and min(parameter.shape[:2]) >= MIXES
        (kernels if mixes else others).append(parameter)
    parts: list[torch.optim.Optimizer] = []
    if others:
        parts.append(torch.optim.Adam(others, lr=recipe.learning_rate, betas=recipe.betas, fused=True))
    if kernels:
        parts.append(Muon(kernels, lr=recipe.learning_rate * recipe.kernel_rate))
        parts[-1].param_groups[0]["scale"] = recipe.kernel_rate
    return Together(*parts)
