"""The room `reports`: base classes here, plugins in the repository's top-level folder `reports/`, mounted on `__path__`."""

from deblurbench.rooms import mount

__path__.extend(mount("reports"))
