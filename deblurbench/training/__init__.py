"""Training: recipes, batches, checkpoints, validation, and the loop. Imports torch; the rest of the harness does not."""
