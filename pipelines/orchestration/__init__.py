"""Dagster, thin: every asset is a few lines around a function of `intake` or `warehouse` that a test can call too."""
