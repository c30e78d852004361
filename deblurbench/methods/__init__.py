"""The room `methods`: base classes here, plugins in the repository's top-level folder `methods/`, mounted on `__path__`."""

from deblurbench.rooms import mount

__path__.extend(mount("methods"))
