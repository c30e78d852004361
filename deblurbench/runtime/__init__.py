"""Runtime as a measurement."""
