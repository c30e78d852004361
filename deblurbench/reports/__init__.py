"""The room `reports`: its base classes; the plugins of the top-level folder `reports/` are mounted on `__path__`."""

from deblurbench.registry.discovery import mount

__path__.extend(mount("reports"))
