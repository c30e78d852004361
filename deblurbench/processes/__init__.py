"""A foreign process that never outlives the process that started it."""
