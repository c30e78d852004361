"""Training: recipes, batches, checkpoints, validation, and the loop. All of it imports torch."""
