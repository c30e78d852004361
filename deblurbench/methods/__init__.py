"""The room `methods`: its base classes; the plugins of the top-level folder `methods/` are mounted on `__path__`."""

from deblurbench.registry.discovery import mount

__path__.extend(mount("methods"))
