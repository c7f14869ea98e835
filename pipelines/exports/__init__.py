"""Exports: the published file's tables as Parquet, CSV and workbooks, for inside the bureau or for the public, and in PostgreSQL.

Belongs here: what may leave the bureau (`public.yaml`, `public`), how small cells are hidden (`suppression`, pure), and how a table
is written (`files`) or copied (`postgres`). Figures do not: everything is read from the published file.
"""
