"""Workbooks edited in place: the package and its parts, and the sheets in it."""
