"""The room `datasets`: base classes here, plugins in the repository's top-level folder `datasets/`, mounted on `__path__`."""

from deblurbench.rooms import mount

__path__.extend(mount("datasets"))
