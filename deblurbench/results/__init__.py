"""A run's folder: the manifest, the stored scores, and who may write."""
