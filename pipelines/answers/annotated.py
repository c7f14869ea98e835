"""The county's own workbook with every finding marked in it; or, where that cannot be, a workbook that quotes the rows concerned.

Belongs here: which cell gets which mark, taking away the marks of an earlier round, and the bounded process in which a county's file
is opened for it. The list of findings is `findings_sheet`; editing the package is `ooxml` and `sheets`, and why it is edited as text
and not written anew by openpyxl is said there.

What a county gets back holds its data, or it does not go out: the marked copy is read again by the reader of screening, and a cell
that reads otherwise than before makes us fall back to quoting. So the copy screens as the original did, formulas included.

Marks of ours are known again by their colours and by the author of their notes. What the fill of a cell was before is kept in the
metadata sheet under the number of its finding (`fill:12`), which its note names, so that it is found again wherever the cell has moved.
"""

import dataclasses
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.answers.findings_sheet import (
    COLOURS,
    NOTE_AUTHOR,
    NOTE_MARK,
    RANK,
    Heading,
    Issue,
    findings_sheet,
    in_order,
    note,
)
from pipelines.screening.identify import is_findings_sheet
from pipelines.workbooks.bounded import Asking, ReadLimits, Task, task_process
from pipelines.workbooks.editing.package import WORKBOOK_TYPE, Package, new_package
from pipelines.workbooks.editing.sheets import Book, Cell, Notes, SheetText, area, lines_of, link_to, position, width_of
from pipelines.workbooks.editing.styles import Styles
from pipelines.workbooks.editing.trees import MAIN, NotEditable, xml_text
from pipelines.workbooks.personal_data import PERSONAL_RULES, mask_personal
from pipelines.workbooks.workbook import (
    FINDINGS_SHEET,
    METADATA_SHEET,
    QUOTE_PREFIX,
    Refusal,
    Sheet,
    Workbook,
    cell_address,
)

__all__ = ["Annotated", "Heading", "Issue", "annotate"]

_OURS = frozenset(COLOURS.values())
_NUMBER = re.compile(r"第 (\d{1,6}) 号")
_USE = (
    "点“单元格”跳到出错处；改完后把本文件（或改好的原表）放回原报送信箱。可筛选；要排序请先撤销工作表保护（无密码）。"
)
_USE_QUOTED = "请在原文件中改正后重新报送；“摘录”表只抄录有关的行供对照，行号、列号与原表相同。只答复核实问题时，填好“核实说明”把本文件放回原报送信箱即可。"
_MAX_QUOTED_ROWS, _MAX_QUOTED_COLUMNS = 2_000, 256


@dataclass(frozen=True)
class Annotated:
    """A workbook to be returned. `lost`: what of the county's file it does not hold, as its list of findings says too.

    `is_own`: whether it is the county's own workbook; otherwise it quotes.
    """

    content: bytes
    suffix: str = ".xlsx"
    lost: tuple[str, ...] = ()
    is_own: bool = True


#: What `annotate` asks the bounded process for.
ANNOTATING = Task("pipelines.answers.annotated:annotating")


def annotate(
    path: Path,
    file_name: str,
    issues: Sequence[Issue],
    heading: Heading,
    limits: ReadLimits = ReadLimits(),
    annotating_process: Asking | None = None,
) -> Annotated | None:
    """Mark findings in the file at `path`, which the county called `file_name`; None when there is nothing to mark.

    The file is hostile: it is opened in a process of its own, under the limits of reading. When that process gives up, what is
    returned lists the findings without quoting the file. `annotating_process`: such a process for many files
    (`task_process(ANNOTATING)`); without one, a process is started for this file alone.
    """
    ordered = in_order(issues)
    if not ordered:
        return None
    name = mask_personal(file_name)
    if not path.exists():
        lost = ("原件含个人信息，已由市局删除",)
        return Annotated(quoting(None, name, ordered, heading, lost), lost=lost, is_own=False)
    with tempfile.TemporaryDirectory(prefix="xianbao-") as folder:
        request, target = Path(folder) / "request.json", Path(folder) / "annotated.xlsx"
        request.write_text(
            json.dumps(
                {
                    "path": str(path),
                    "name": name,
                    "issues": [dataclasses.asdict(issue) for issue in ordered],
                    "heading": {**dataclasses.asdict(heading), "counts": dict(heading.counts)},
                    "target": str(target),
                },
                ensure_ascii=False,
            ),
            encoding="utf-8",
        )
        if annotating_process:
            answer = annotating_process({"request": str(request)})
        else:
            with task_process(ANNOTATING, limits) as started:
                answer = started({"request": str(request)})
        if isinstance(answer, dict) and target.is_file():
            return Annotated(target.read_bytes(), lost=tuple(answer["lost"]), is_own=answer["is_own"])
    reason = answer.detail if isinstance(answer, Refusal) else ""
    lost = (f"原工作簿未能打开标注（{reason}）",) if reason else ("原工作簿未能打开标注",)
    return Annotated(quoting(None, name, ordered, heading, lost), lost=lost, is_own=False)


def annotating(_: Mapping[str, Any], limits: Mapping[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The bounded process's side: open the file, write the workbook to the target that was asked for."""
    from pipelines.workbooks.reader import read_file

    def annotate_here(request: dict[str, Any]) -> dict[str, Any]:
        plain = json.loads(Path(request["request"]).read_text(encoding="utf-8"))
        path, name = Path(plain["path"]), plain["name"]
        issues = [Issue(**issue) for issue in plain["issues"]]
        heading = Heading(**plain["heading"])

        outcome = read_file(path, name, max_bytes=limits["file_bytes"], max_cells=limits["cells"])
        target = Path(plain["target"])
        lost: tuple[str, ...] = ()
        if isinstance(outcome, Workbook) and outcome.kind == "xlsx":
            # A copy that holds numbers of persons would carry them into the outbox: the file is quoted instead, masked.
            if outcome.personal or any(issue.rule_id in PERSONAL_RULES for issue in issues):
                lost = ("原工作簿含个人信息，不在副本中转存",)
            else:
                try:
                    content, lost = marked(path, outcome, name, issues, heading)
                    target.write_bytes(content)
                    # What is added must not take a file that was just small enough beyond the limits.
                    again = read_file(target, name, max_bytes=limits["file_bytes"] * 2, max_cells=limits["cells"] * 2)
                    if _same_cells(outcome, again):
                        return {"lost": lost, "is_own": True}
                    lost = ("原工作簿结构特殊，无法在其上标注",)
                except NotEditable as error:
                    lost = (f"原工作簿无法在其上标注（{error}）",)
                except (ValueError, LookupError, TypeError, zipfile.BadZipFile, RecursionError):
                    # A package that our edits do not foresee: it is quoted instead.
                    lost = ("原工作簿结构特殊，无法在其上标注",)
        readable = _without_persons(outcome) if isinstance(outcome, Workbook) else None
        target.write_bytes(quoting(readable, name, issues, heading, lost))
        return {"lost": lost, "is_own": False}

    return annotate_here


def _without_persons(workbook: Workbook) -> Workbook:
    """The workbook to quote from: cells in which something of a person was found hold it masked, and nothing else."""
    sheets = {sheet.name: sheet for sheet in workbook.sheets}
    for _, value, where in workbook.personal:
        if where.row is not None and where.column is not None and not where.place:
            sheets[where.sheet].rows[where.row][where.column] = value
    return workbook


# The county's own workbook --------------------------------------------------------------------------------------------


def marked(
    path: Path, workbook: Workbook, file_name: str, issues: Sequence[Issue], heading: Heading
) -> tuple[bytes, tuple[str, ...]]:
    """The county's workbook with marks, and what it lost. Raises NotEditable."""
    package = Package(_opened(path))
    book = Book(package)
    lost = _without_active_content(package, book, path)
    by_name = {sheet.name: sheet for sheet in workbook.sheets}
    memory = _Memory(by_name.get(METADATA_SHEET))
    for entry in list(book.sheets):
        if entry.name == METADATA_SHEET:
            book.remove_sheet(entry)
        elif entry.name == FINDINGS_SHEET:
            if entry.name not in by_name or not is_findings_sheet(by_name[entry.name]):
                raise NotEditable(f"已有一张不是本系统所写的“{FINDINGS_SHEET}”表")
            book.remove_sheet(entry)
    threads: list[str] = []
    numbered = _numbered(issues)
    names = {mask_personal(entry.name): entry.name for entry in book.sheets}
    marks: dict[str, list[tuple[int, Issue]]] = {}
    for number, issue in numbered:
        if issue.status == "open" and issue.sheet in names:
            marks.setdefault(names[issue.sheet], []).append((number, issue))
    remembered: list[tuple[str, str]] = []
    links: dict[tuple[str, str], str] = {}
    for entry in book.sheets:
        if entry.kind == "worksheet" and entry.part in package:
            shown, kept = _mark_sheet(
                package, book.styles, entry.name, entry.part, marks.get(entry.name, []), memory, threads
            )
            remembered += kept
            links |= {
                (mask_personal(entry.name), cell): link_to(entry.name, address) for cell, address in shown.items()
            }
    for issue in issues:
        if issue.status != "open" and issue.sheet in names and area(issue.cell):
            links.setdefault((issue.sheet, issue.cell), link_to(names[issue.sheet], issue.cell))
    if threads:
        lost = (*lost, f"会话式批注改为普通批注（{'、'.join(threads[:20])}）")
    _add_ours(book, file_name, issues, heading, lost, links, memory.kept + remembered, _USE)
    package.check()
    return package.save(), lost


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _opened(path: Path) -> io.BytesIO:
    """The bytes of the package; a file under Excel's default password is opened as the reader does."""
    content = path.read_bytes()
    if _is_zip(path):
        return io.BytesIO(content)
    import msoffcrypto

    target = io.BytesIO()
    office = msoffcrypto.OfficeFile(io.BytesIO(content))
    office.load_key(password="VelvetSweatshop")  # noqa: S106 - a published default, no secret
    office.decrypt(target)
    target.seek(0)
    return target


def _without_active_content(package: Package, book: Book, path: Path) -> tuple[str, ...]:
    """Take away what must not, or cannot, stand in the copy; returns what it was."""
    lost: list[str] = []

    def drop(part: str, kinds: set[str]) -> bool:
        targets = package.unrelate(part, lambda relation: relation.kind in kinds)
        for target in targets:
            if target in package:
                for relation in package.relations(target):
                    inner = package.target(target, relation)
                    if relation.get("TargetMode") != "External" and inner in package:
                        package.remove(inner)
                package.remove(target)
        return bool(targets)

    if any("macrosheet" in entry.kind.lower() or entry.kind == "dialogsheet" for entry in book.sheets):
        raise NotEditable("含宏表或对话框表")
    if drop(book.part, {"vbaProject"}):
        lost.append("宏（VBA）")
    if drop("", {"extensibility", "ui/extensibility"}):
        lost.append("自定义功能区")
    if drop("", {"origin"}):
        lost.append("数字签名（内容改动后即失效）")
    if drop(book.part, {"revisionHeaders", "usernames"}):
        lost.append("共享工作簿的修订记录")
    drop(book.part, {"calcChain"})  # Excel writes it anew; it counts cells by sheet
    if not _is_zip(path):
        lost.append("Excel 默认密码的加密")
    package.set_type(book.part, WORKBOOK_TYPE)
    return tuple(lost)


def _numbered(issues: Sequence[Issue]) -> list[tuple[int, Issue]]:
    return list(enumerate(issues, start=1))


class _Memory:
    """What the metadata sheet says: the rows that stay, and what cells and tabs looked like before our marks."""

    def __init__(self, sheet: Sheet | None) -> None:
        self.kept: list[tuple[str, str]] = []
        self.fills: dict[int, str] = {}
        self.fills_at: dict[str, str] = {}
        self.tabs: dict[str, str] = {}
        for row in sheet.rows if sheet else []:
            key, value = ((row[0] if row else None) or ""), ((row[1] if len(row) > 1 else None) or "")
            if match := re.fullmatch(r"fill:(\d{1,6})", key):
                text, _, address = value.partition("|")
                self.fills[int(match[1])] = text
                self.fills_at[address] = text
            elif key.startswith("tab:"):
                self.tabs[key[4:]] = value if re.fullmatch(r"[0-9A-F]{8}", value) else ""
            elif key and key != "answer_to":
                self.kept.append((key, value))


def _mark_sheet(
    package: Package,
    styles: Styles,
    name: str,
    part: str,
    marks: Sequence[tuple[int, Issue]],
    memory: _Memory,
    threads: list[str],
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Mark one sheet: (cell of a finding → address to link to; "" for the sheet), and what to remember of it.

    `threads` takes the cells whose threaded comments had to become notes.
    """
    ours = styles.styles_filled(_OURS)
    sheet = SheetText(package, part)
    notes = Notes(sheet, NOTE_AUTHOR, NOTE_MARK)
    if not marks and not ours and notes.unchanged and sheet.tab_colour() not in _OURS:
        return {}, []
    corners = sheet.top_left() if marks else {}
    by_cell: dict[Cell, list[tuple[int, Issue]]] = {}
    links: dict[str, str] = {}
    for number, issue in marks:
        place = position(issue.cell)
        if place is None:
            # What is said of a sheet, or of the sum of many cells, marks none of them.
            links.setdefault(issue.cell, area(issue.cell) or "A1")
            continue
        place = corners.get(place, place)
        by_cell.setdefault(place, []).append((number, issue))
        links[issue.cell] = cell_address(*place)

    before: dict[Cell, str] = {}

    def old_fill(cell: Cell) -> str:
        """The fill that a cell in our colour had of old."""
        found = _NUMBER.search(notes.removed.get(cell, ""))
        if found and int(found[1]) in memory.fills:
            return memory.fills[int(found[1])]
        return memory.fills_at.get(link_to(name, cell_address(*cell)), "")

    def cleared(cell: Cell, style: int) -> int:
        return styles.with_fill(style, styles.fill_from_note(old_fill(cell)))

    remembered: list[tuple[str, str]] = []

    def mark(cell: Cell, numbered: Sequence[tuple[int, Issue]]) -> Callable[[int], int]:
        colour = _colour(numbered)

        def filled(style: int) -> int:
            before[cell] = styles.fill_note(style)
            return styles.with_fill(style, styles.solid(colour))

        return filled

    sheet.restyle(ours, cleared, {cell: mark(cell, numbered) for cell, numbered in by_cell.items()})
    for cell, numbered in sorted(by_cell.items()):
        notes.add(cell, note(numbered))
        if before.get(cell):
            remembered.append((f"fill:{numbered[0][0]}", f"{before[cell]}|{link_to(name, cell_address(*cell))}"))
    notes.save()
    threads += [f"{name} {address}" for address in notes.converted]
    tab = sheet.tab_colour()
    if tab in _OURS:
        tab = memory.tabs.get(name, "")
        sheet.set_tab_colour(tab)
    if marks and tab != "?":
        sheet.set_tab_colour(_colour(marks))
        if tab:
            remembered.append((f"tab:{name}", tab))
    sheet.save()
    return links, remembered


def _colour(numbered: Sequence[tuple[int, Issue]]) -> str:
    """The colour of the gravest of some findings."""
    gravest = min((issue.outcome for _, issue in numbered), key=lambda outcome: RANK.get(outcome, len(RANK)))
    return COLOURS.get(gravest, COLOURS["info"])


def _add_ours(
    book: Book,
    file_name: str,
    issues: Sequence[Issue],
    heading: Heading,
    lost: Sequence[str],
    links: Mapping[tuple[str, str], str],
    metadata: Sequence[tuple[str, str]],
    use: str,
) -> None:
    """Add the list of findings as the first sheet and the metadata as the last, and write the workbook part."""
    listed = findings_sheet(
        FINDINGS_SHEET,
        issues,
        heading,
        file_name=file_name,
        lost=lost,
        links=links,
        styles=book.styles,
        explained_by=use,
    )
    book.add_sheet(FINDINGS_SHEET, listed.xml, first=True)
    # In groups of eight: a longer run of figures could pass for somebody's phone number when the workbook comes back.
    grouped = "-".join(re.findall(".{1,8}", heading.submission_id))
    rows = [*metadata, ("answer_to", grouped)]
    book.add_sheet(METADATA_SHEET, _metadata_sheet(rows), state="veryHidden")
    for name, refers_to, hidden in listed.names:
        book.add_name(name, refers_to, FINDINGS_SHEET, hidden=hidden)
    book.save()


def _metadata_sheet(rows: Sequence[tuple[str, str]]) -> str:
    data = "".join(
        f'<row r="{number}">{_string(0, number, key)}{_string(1, number, value)}</row>'
        for number, (key, value) in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData></worksheet>'


def _string(column: int, row: int, text: str, style: int = 0) -> str:
    address = cell_address(row - 1, column)
    return f'<c r="{address}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{xml_text(text)}</t></is></c>'


def _same_cells(before: Workbook, after: Workbook | Refusal) -> bool:
    """Whether the county's sheets read as they did."""
    if not isinstance(after, Workbook):
        return False

    def cells(workbook: Workbook) -> list[tuple[Any, ...]]:
        return [
            (sheet.name, sheet.hidden, _trimmed(sheet.rows), sheet.error_cells, sheet.valueless_formulas)
            for sheet in workbook.sheets
            if sheet.name not in (METADATA_SHEET, FINDINGS_SHEET)
        ]

    return cells(before) == cells(after)


def _trimmed(rows: list[list[str | None]]) -> list[tuple[str | None, ...]]:
    found = []
    for row in rows:
        end = len(row)
        while end and row[end - 1] is None:
            end -= 1
        found.append(tuple(row[:end]))
    while found and not found[-1]:
        found.pop()
    return found


# A workbook that quotes -----------------------------------------------------------------------------------------------


def quoting(
    workbook: Workbook | None, file_name: str, issues: Sequence[Issue], heading: Heading, lost: Sequence[str]
) -> bytes:
    """The list of findings, and the rows concerned on sheets that keep their row numbers and column letters."""
    package = new_package()
    book = Book(package)
    links: dict[tuple[str, str], str] = {}
    marks: dict[str, list[tuple[int, Issue]]] = {}
    for number, issue in _numbered(issues):
        marks.setdefault(issue.sheet, []).append((number, issue))
    for sheet in workbook.sheets if workbook else []:
        numbered = marks.get(mask_personal(sheet.name), [])
        cells = [place for _, issue in numbered if (place := position(issue.cell))]
        if not cells or sheet.name in (FINDINGS_SHEET, METADATA_SHEET):
            continue
        name = _quote_name(sheet.name or Path(file_name).stem, {entry.name for entry in book.sheets})
        part = book.add_sheet(name, _quoted_sheet(sheet, {row for row, _ in cells}, book.styles))
        relevant = [(number, issue) for number, issue in numbered if issue.status == "open"]
        shown, _ = _mark_sheet(package, book.styles, name, part, relevant, _Memory(None), [])
        links |= {(mask_personal(sheet.name), cell): link_to(name, address) for cell, address in shown.items() if cell}
    _add_ours(book, file_name, issues, heading, lost, links, [], _USE_QUOTED)
    package.check()
    return package.save()


def _quote_name(name: str, taken: set[str]) -> str:
    """A sheet name that Excel takes: at most 31 characters, none of `[]:*?/\\`, not used yet."""
    plain = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", mask_personal(name)).strip("' ") or "表"
    for number in range(1, 1000):
        tail = f"({number})" if number > 1 else ""
        found = QUOTE_PREFIX + plain[: 31 - len(QUOTE_PREFIX) - len(tail)] + tail
        if found.lower() not in {other.lower() for other in taken}:
            return found
    raise NotEditable("工作表过多")


def _quoted_sheet(sheet: Sheet, rows: set[int], styles: Styles) -> str:
    """The header and the rows concerned at their own row numbers, everything between hidden; a row above says so."""
    header = _header_rows(sheet)
    wanted = sorted((rows | header) & set(range(len(sheet.rows))))[:_MAX_QUOTED_ROWS]
    border = styles.border("FFC9D1DB")
    body = styles.cell(font=styles.font(), border=border)
    strong = styles.cell(font=styles.font(bold=True), border=border, fill=styles.solid("FFE4EAF1"), vertical="center")
    widths: dict[int, int] = {}
    lines = []
    for row in wanted:
        cells, height = [], 1
        for column, text in enumerate(sheet.rows[row][:_MAX_QUOTED_COLUMNS]):
            if text is None:
                continue
            shown = _shown(text)
            if row in rows or row == max(header, default=-1):
                widths[column] = max(widths.get(column, 8), min(26, width_of(shown) + 2))
                height = max(height, lines_of(shown, widths[column] - 2))
            cells.append(_string(column, row + 1, shown, strong if row in header else body))
        lines.append(
            f'<row r="{row + 1}" ht="{min(90, height * 14 + 4)}" customHeight="1" hidden="0">{"".join(cells)}</row>'
        )
    columns = "".join(
        f'<col min="{column + 1}" max="{column + 1}" width="{width}" customWidth="1"/>'
        for column, width in sorted(widths.items())
    )
    return (
        f'<worksheet xmlns="{MAIN}"><sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
        '<sheetViews><sheetView workbookViewId="0"/></sheetViews>'
        f'<sheetFormatPr defaultRowHeight="15" zeroHeight="1"/>{f"<cols>{columns}</cols>" if columns else ""}'
        f'<sheetData>{"".join(lines)}</sheetData><printOptions headings="1"/>'
        '<pageMargins left="0.4" right="0.4" top="0.5" bottom="0.5" header="0.3" footer="0.3"/>'
        f'<pageSetup paperSize="9" orientation="landscape" fitToWidth="{1 + sum(widths.values()) // 180}" fitToHeight="0"/></worksheet>'
    )


def _header_rows(sheet: Sheet) -> set[int]:
    """The rows down to the header of the first table; without a table that we know, the first rows of the sheet."""
    from pipelines.screening.identify import table_headers

    known = table_headers(sheet)
    if known:
        first = min(row for row, _ in known)
        return set(range(max(0, first - 4), first)) | {row for start, end in known for row in range(start, end)}
    return set(range(min(3, len(sheet.rows))))


def _shown(text: str) -> str:
    """A county's text as it may be repeated: numbers of persons masked, length bounded."""
    masked = mask_personal(text)
    return masked if len(masked) <= 500 else masked[:499] + "…"
