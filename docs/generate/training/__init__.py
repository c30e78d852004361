"""Writes docs/training.md and its figures from docs/evidence/ and the cards."""
