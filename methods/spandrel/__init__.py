"""Single-image restoration networks from their own checkpoints, through spandrel."""
