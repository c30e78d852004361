"""Weight files: reading, writing, and converting foreign checkpoints."""
