"""The floor of `main_job`: read, sum, write; nothing else. Usage: python -m benchmarks.floor HOME"""

import sys
import tempfile
from pathlib import Path

import duckdb
import polars as pl
import python_calamine


def main() -> None:
    """Read every file below HOME/counties, sum its numbers by column position, write the sums to a DuckDB file."""
    frames = []
    for path in sorted((Path(sys.argv[1]) / "counties").rglob("*")):
        if path.suffix in (".xlsx", ".xls"):
            workbook = python_calamine.CalamineWorkbook.from_path(str(path))
            rows = [row for name in workbook.sheet_names for row in workbook.get_sheet_by_name(name).to_python()]
        elif path.suffix == ".csv":
            content = path.read_bytes()
            text = content.decode("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "gb18030")
            rows = [line.split(",") for line in text.splitlines()]
        else:
            continue
        cells = [
            (path.parent.name, column, float(cell))
            for row in rows
            for column, cell in enumerate(row)
            if isinstance(cell, int | float) or (isinstance(cell, str) and cell.replace(".", "", 1).isdigit())
        ]
        frames.append(pl.DataFrame(cells, schema=["county", "column", "value"], orient="row"))
    cells_frame = pl.concat(frames)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "floor.duckdb")) as connection:
        connection.register("cells", cells_frame.to_arrow())
        connection.execute('CREATE TABLE sums AS SELECT county, "column", sum(value) AS total FROM cells GROUP BY ALL')
        connection.execute("CHECKPOINT")


if __name__ == "__main__":
    main()
