"""Evaluation: plan a run, restore its clips, score them."""
