"""Evaluation: plan a run, restore its clips, score them."""

RESULTS_VERSION = 1
"""Version of every number that a run stores, as far as the package's shared code decides it.

That is decoding, padding, tiling, rounding, what is scored, and the base classes and layers of methods. Raise it by one
in the change that moves a number: stored results of another version are computed again. A change of one metric raises
that metric's `version` instead, a change of a protocol the protocol's; a plugin's own code is recognised by its digest.
Comments, names and speed are no reason. tests/golden fails when numbers move under an unchanged version.
"""
