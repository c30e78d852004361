"""The room `datasets`: its base classes; the plugins of the top-level folder `datasets/` are mounted on `__path__`."""

from deblurbench.registry.discovery import mount

__path__.extend(mount("datasets"))
