"""Adam, as the papers train with, or Muon for the kernels of the convolutions, for trainings of minutes.

Muon steps along the orthogonalised momentum of each kernel, read as a matrix of one row an output channel: all singular
values of a step are brought near 1, so that rare directions move as far as common ones. K. Jordan and others, "Muon: an
optimizer for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/. Biases, norms, and
layers that read or write a picture (fewer than MIXES channels on either side) stay with Adam, as its authors advise.

torch.optim.Muon takes matrices only, and iterates in bfloat16, which processors without bfloat16 arithmetic emulate:
the twelve 80x720 kernels of one IFI-RNN cell cost 0.41 s a step there and 0.024 s in float32, beside 0.45 s for the
step itself. So it is written here once more, and iterates in bfloat16 only where the device multiplies matrices in it.
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
    """The matrix (rows, columns) with its singular values brought to between 0.7 and 1.2 by Newton-Schulz iterations.

    The singular vectors stay. Zero stays zero. The result has the matrix's dtype.
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = (wide / (wide.norm() + 1e-7)).to(_quick_dtype(matrix))
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.T).to(matrix.dtype)


def _quick_dtype(matrix: Tensor) -> torch.dtype:
    """bfloat16 for float32 on a GPU, and on a processor that multiplies matrices in it (AMX); otherwise as it is."""
    quick = matrix.device.type == "cuda" or has_amx()
    return torch.bfloat16 if quick and matrix.dtype == torch.float32 else matrix.dtype


@functools.cache
def has_amx() -> bool:
    """Whether this processor multiplies bfloat16 matrices in units of their own (AMX), several times as fast."""
    tell = getattr(torch.cpu, "get_capabilities", None)  # newer torch has it
    return bool(tell and tell().get("amx_bf16", False))


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions and more; the first is taken for the matrix's rows, the rest for its columns."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with Nesterov's momentum. A matrix taller than wide steps further, by the root of the ratio."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if not state:
                    state["momentum"] = torch.zeros_like(kernel)
                mean = state["momentum"].lerp_(kernel.grad, 1 - group["momentum"])
                ahead = kernel.grad.lerp(mean, group["momentum"]).reshape(kernel.shape[0], -1)
                tall = math.sqrt(max(1.0, ahead.shape[0] / ahead.shape[1]))
                kernel.add_(orthogonalised(ahead).reshape(kernel.shape), alpha=-group["lr"] * tall)


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
        parts.append(torch.optim.Adam(others, lr=recipe.learning_rate, betas=recipe.betas))
    if kernels:
        parts.append(Muon(kernels, lr=recipe.learning_rate * recipe.kernel_rate))
        parts[-1].param_groups[0]["scale"] = recipe.kernel_rate
    return Together(*parts)
