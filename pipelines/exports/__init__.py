"""Exports: the published file's tables as Parquet, CSV and workbooks, for inside the bureau or for the public.

Belongs here: what may leave the bureau (`public.yaml`, `public`), how small cells are hidden (`suppression`, pure), and how a table
is written (`files`). Figures do not: everything is read from the published file.
"""
