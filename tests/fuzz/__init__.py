"""Mutated files through the bounded reader and the screen."""
