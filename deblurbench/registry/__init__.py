"""Plugins: their cards, the protocols, and where plugins are found."""
