"""Whether a method restores with random weights: made once more from another seed, it comes out different.

A separate Python environment imports this module without the package's dependencies: the syntax is Python 3.9's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from deblurbench.backends.device import seed_everything

if TYPE_CHECKING:
    from deblurbench.methods.base import Method


def made_again(make: Callable[[], Method], seed: int) -> Method:
    """The same method made once more, from another seed; `seed` is set again afterwards."""
    seed_everything(seed + 1)
    other = make()
    seed_everything(seed)
    return other


def network_is_random(method: Method, make: Callable[[], Method], seed: int) -> bool:
    """Whether the network of a method that was given no weights is random; `make` makes the method."""
    from deblurbench.methods.parameters import differ

    if method.network is None:
        return False
    other = made_again(make, seed)
    return other.network is None or differ(method.network.state_dict(), other.network.state_dict())


def random_outside_network(method: Method, make: Callable[[], Method], seed: int) -> list[str]:
    """Where a method holds random parameters that no weights reach, since they are not in `self.network`."""
    from deblurbench.methods.parameters import parameters_outside, random_places

    return random_places(method, made_again(make, seed)) if parameters_outside(method) else []
