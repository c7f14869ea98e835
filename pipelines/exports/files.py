"""Tables as files: Parquet for programs, CSV and workbooks for people, each with the release it is of.

Belongs here: bytes. Parquet holds `marts` as it is, with the Chinese descriptions as field metadata; CSV and workbooks hold the
views of `指标`. The same release gives the same bytes: rows in the order of their keys, no time of writing.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import chain, islice
from pathlib import Path

import duckdb

from pipelines.exports.public import DEFAULT_THRESHOLD, declared, public_copy, undeclared
from pipelines.files import replace_file
from pipelines.releases.labels import labels
from pipelines.releases.presentation import SCHEMA, ColumnFacts, catalogue, unit_of
from pipelines.warehouse.opened import opened, telling_of

FORMATS = ("parquet", "csv", "xlsx")
PROFILES = ("internal", "public")
MANIFEST = "manifest.json"
WIDE = "overview_wide"
#: What stands in a cell without a figure (profile public), as statistical yearbooks have it.
HIDDEN, WITHHELD, NOT_APPLICABLE = "*", "…", "—"
_SYMBOLS = {"为保护个人信息隐去": HIDDEN, "不予公布": WITHHELD, "不适用": NOT_APPLICABLE}
#: A spreadsheet takes text that starts so for a formula; the full-width ones too under some Chinese and Japanese settings.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SHEET_ROWS = 1_000_000
_CELL_CHARACTERS = 32_767
_WRITTEN_AT = datetime(2024, 1, 1)  # noqa: DTZ001 - document properties; the real time would change the bytes
_BATCH = 20_000


@dataclass(frozen=True)
class View:
    """A view of 指标 to be written: `stem` names the files."""

    stem: str
    name: str
    comment: str
    columns: tuple[ColumnFacts, ...]
    order: str


@dataclass(frozen=True)
class Exported:
    """One file that was written."""

    name: str
    rows_n: int
    size_bytes: int


def plain_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe before what would start one."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def export(
    published: Path,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    profile: str = "internal",
    threshold: int = DEFAULT_THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
) -> list[Exported]:
    """Write every table of the published file into `folder`, and `manifest.json` last.

    Files that an earlier export left there and that are not of this one are removed, so that a folder never mixes releases or
    profiles. Raises ValueError for an unknown format or profile, FileUnusable.
    """
    if not set(formats) <= set(FORMATS) or profile not in PROFILES:
        raise ValueError(f"formats: {FORMATS}, profiles: {PROFILES}")
    _forget(folder)
    done: list[Exported] = []
    digests: dict[str, str] = {}
    with _tables(published, profile, threshold) as connection:
        ((release_id,),) = connection.execute("SELECT release_id FROM marts.release").fetchall()
        tables = catalogue(connection)
        views = _views(connection, tables)
        jobs: list[tuple[str, Callable[[], tuple[bytes, int]]]] = []
        if "parquet" in formats:
            jobs += [
                (f"{table}.parquet", partial(_parquet, connection, table, columns, str(release_id)))
                for table, (_, columns) in tables.items()
            ]
        for kind, write in (("csv", _csv), ("xlsx", _workbook)):
            if kind in formats:
                jobs += [
                    (f"{view.stem}.{kind}", partial(write, connection, view, str(release_id), profile))
                    for view in views
                ]
        for number, (name, make) in enumerate(jobs, start=1):
            content, rows_n = make()
            replace_file(folder / name, content)
            digests[name] = hashlib.sha256(content).hexdigest()
            done.append(Exported(name, rows_n, len(content)))
            if progress:
                progress(number, len(jobs))
    manifest = {
        "release_id": str(release_id),
        "profile": profile,
        "suppressed_below_persons": threshold if profile == "public" else None,
        "left_out": undeclared(published) if profile == "public" else [],
        "files": {one.name: {"rows_n": one.rows_n, "sha256": digests[one.name]} for one in done},
    }
    replace_file(folder / MANIFEST, (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode())
    return done


@contextmanager
def _tables(published: Path, profile: str, threshold: int) -> Iterator[duckdb.DuckDBPyConnection]:
    if profile == "internal":
        with opened(published) as connection:
            yield connection
        return
    with telling_of(published), closing(public_copy(published, threshold)) as connection:
        yield connection


def _forget(folder: Path) -> None:
    try:
        earlier = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in earlier:
        if isinstance(name, str) and Path(name).name == name and Path(name).suffix.lstrip(".") in FORMATS:
            (folder / name).unlink(missing_ok=True)
    (folder / MANIFEST).unlink()


def _views(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> list[View]:
    names = labels()
    stems = {names.table(table): table for table in tables} | {names.wide: WIDE}
    found = []
    for name, (comment, columns) in catalogue(connection, SCHEMA).items():
        if name == names.narrow:  # the same rows as its table, for a screen
            continue
        # Codes sort as the bureau lists areas, the city first; names would sort by their strokes' code points.
        keys = [column.name for column in columns if f"{column.name}代码" not in {other.name for other in columns}]
        order = "" if name == names.wide else "ORDER BY " + ", ".join(f'"{key}"' for key in keys)
        found.append(View(stems[name], name, comment, tuple(columns), order))
    return sorted(found, key=lambda view: view.stem)


def _rows(connection: duckdb.DuckDBPyConnection, view: View, profile: str) -> Iterator[list[object]]:
    """The rows of a view; in the public profile a symbol stands where a figure is not given."""
    selected = ", ".join(f'"{column.name}"' for column in view.columns)
    cursor = connection.execute(f'SELECT {selected} FROM "{SCHEMA}"."{view.name}" {view.order}')
    names = [column.name for column in view.columns]
    public = declared().tables.get(view.stem)
    own = {labels().column(view.stem, name) for name in (public.figures if public else ())}
    figures = [number for number, name in enumerate(names) if name in own]
    hidden_at = names.index("是否隐去") if "是否隐去" in names else None
    status_at = names.index("数据状态") if "数据状态" in names else None
    while batch := cursor.fetchmany(_BATCH):
        for values in batch:
            row = list(values)
            if profile == "public" and status_at is not None:
                symbol = HIDDEN if hidden_at is not None and row[hidden_at] else _SYMBOLS.get(str(row[status_at]))
                for number in figures:
                    if symbol and row[number] is None:
                        row[number] = symbol
            yield row


def _is_number(column: ColumnFacts) -> bool:
    return column.data_type.startswith(("DECIMAL", "BIGINT", "INTEGER", "HUGEINT", "DOUBLE"))


def _worded(value: object) -> object:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return value.isoformat() if isinstance(value, date) else value


def _csv(connection: duckdb.DuckDBPyConnection, view: View, release_id: str, profile: str) -> tuple[bytes, int]:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    carries_release = any(column.name == "发布编号" for column in view.columns)
    last = [] if carries_release else [release_id]
    writer.writerow([plain_text(column.name) for column in view.columns] + ([] if carries_release else ["发布编号"]))
    rows_n = 0
    for row in _rows(connection, view, profile):
        rows_n += 1
        worded = [_worded(value) for value in row]
        writer.writerow(
            ["" if value is None else plain_text(value) if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else value
             for value in worded] + last
        )  # fmt: skip
    return stream.getvalue().encode("utf-8-sig"), rows_n


def _parquet(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnFacts], release_id: str
) -> tuple[bytes, int]:
    import pyarrow.parquet

    content = connection.sql(f"SELECT * FROM marts.{table} ORDER BY ALL").to_arrow_table()
    fields = [
        field.with_metadata({"description": column.description})
        for field, column in zip(content.schema, columns, strict=True)
    ]
    content = content.cast(pyarrow.schema(fields, metadata={"xianbao.release_id": release_id, "xianbao.table": table}))
    stream = io.BytesIO()
    pyarrow.parquet.write_table(content, stream, compression="zstd")
    return stream.getvalue(), content.num_rows


def _workbook(connection: duckdb.DuckDBPyConnection, view: View, release_id: str, profile: str) -> tuple[bytes, int]:
    import xlsxwriter

    stream = io.BytesIO()
    book = xlsxwriter.Workbook(
        stream, {"in_memory": True, "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"title": view.name, "comments": f"发布编号 {release_id}", "created": _WRITTEN_AT})
    font = {"font_name": "宋体", "font_size": 10}
    title = book.add_format({"font_name": "黑体", "font_size": 14, "bold": True})
    plain = book.add_format(font)
    head = book.add_format(
        {**font, "bold": True, "text_wrap": True, "valign": "vcenter", "border": 1, "bg_color": "#DDE7F0"}
    )
    wrapped = book.add_format({**font, "text_wrap": True, "valign": "top"})
    formats = [book.add_format({**font, "num_format": _number_format(column), "align": "right"}) if _is_number(column) else plain
               for column in view.columns]  # fmt: skip
    rows = _rows(connection, view, profile)
    rows_n, number = 0, 0
    while True:
        part = islice(rows, _SHEET_ROWS)
        first = next(part, None)
        if first is None and number:
            break
        number += 1
        sheet = book.add_worksheet("数据" if number == 1 else f"数据{number}")
        for place, column in enumerate(view.columns):
            sheet.set_column(place, place, _width(column))
        sheet.freeze_panes(3, 2 if len(view.columns) > 6 else 0)
        sheet.repeat_rows(2)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.set_footer(f"&L发布编号 {release_id}&R第 &P 页，共 &N 页")
        sheet.write_string(0, 0, view.name, title)
        sheet.write_string(1, 0, f"发布编号 {release_id}　各列的单位和说明见“说明”", plain)
        sheet.set_row(2, 30)
        for place, column in enumerate(view.columns):
            unit = unit_of(column.description)
            sheet.write_string(2, place, f"{column.name}（{unit}）" if unit else column.name, head)
        below = 3
        for row in [] if first is None else chain([first], part):
            for place, value in enumerate(row):
                _write(sheet, below, place, value, formats[place], plain)
            below += 1
        rows_n += below - 3
        if below > 3:
            sheet.autofilter(2, 0, below - 1, len(view.columns) - 1)
    notes = book.add_worksheet("说明")
    notes.set_column(0, 1, 22)
    notes.set_column(2, 2, 90)
    notes.write_string(0, 0, view.name, title)
    lines = [
        ("发布编号", "", release_id),
        ("内容", "", view.comment),
        ("范围", "", "公开" if profile == "public" else "内部，不得外传"),
    ]
    if profile == "public":
        meaning = f"{HIDDEN} 为保护个人信息隐去；{WITHHELD} 报送不足不予公布；{NOT_APPLICABLE} 不适用；空白为没有这一项"
        lines.append(("符号", "", meaning))
    lines += [("列", "单位", "说明")]
    lines += [(column.name, unit_of(column.description) or "", column.description) for column in view.columns]
    for below, line in enumerate(lines, start=1):
        for place, text in enumerate(line):
            notes.write_string(below, place, text, head if line[0] == "列" and line[1] == "单位" else wrapped)
    book.close()
    return stream.getvalue(), rows_n


def _write(sheet, row: int, place: int, value: object, own, plain) -> None:  # type: ignore[no-untyped-def]
    value = _worded(value)
    if value is None:
        sheet.write_blank(row, place, None, own)
    elif isinstance(value, int | float) or (isinstance(value, Decimal) and len(value.as_tuple().digits) <= 15):
        sheet.write_number(row, place, value, own)
    else:
        # A number of more than 15 digits would lose the rest in a spreadsheet.
        sheet.write_string(row, place, str(value)[:_CELL_CHARACTERS], own if str(value) in _SYMBOLS.values() else plain)


def _number_format(column: ColumnFacts) -> str:
    if not column.data_type.startswith(("DECIMAL", "DOUBLE")):
        return "0" if unit_of(column.description) is None else "#,##0"
    return "#,##0.0000" if unit_of(column.description) in (None, "比值") else "#,##0.00"


def _width(column: ColumnFacts) -> int:
    if _is_number(column):
        return max(12, len(column.name) + 4)
    return max(12, min(2 * len(column.name) + 4, 26))
