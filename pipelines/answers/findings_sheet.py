"""The list of findings (问题清单): what it says and how it looks. How it is written into a workbook is `annotated`.

Belongs here: heading, summary by rule, a row a finding with its link and the cell for a reply, as one worksheet part; the words of a
note on a cell. Every text is an inline string, never a formula, whatever characters it begins with.

Protection: the sheet is protected without a password, so that only replies can be typed and the list filtered; a list to be sorted
must be unprotected first (Excel sorts no locked cell), which costs nothing, as every row is known by its token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from pipelines.answers.page import moment
from pipelines.answers.receipt_page import OUTCOME_LABELS
from pipelines.screening.explanations import MAX_REPLY, PROPOSAL_MARK, token
from pipelines.screening.findings import Finding
from pipelines.screening.rules import OUTCOMES
from pipelines.workbooks.editing.sheets import lines_of, link_to
from pipelines.workbooks.editing.styles import Styles
from pipelines.workbooks.editing.trees import MAIN, quoted, xml_text
from pipelines.workbooks.workbook import REPLY_LABEL, TOKEN_LABEL, column_letter, runs

#: Fills of ours (ARGB): told from the county's own by being just these.
COLOURS = {"error": "FFFF8A80", "query": "FFFFD166", "info": "FF9AD0F5"}
#: The first words of every note of ours, and its author.
NOTE_MARK, NOTE_AUTHOR = "【县报审核】", "县报审核"

_COLUMNS = (
    ("序号", 5), ("等级", 7), ("表", 13), ("报告期", 11), ("工作表", 12), ("单元格", 8), ("行", 13), ("列", 13), ("现值", 11),
    ("应为", 11), ("差额", 9), ("问题", 34), ("怎么改", 34), ("规则", 14), (REPLY_LABEL, 32), (TOKEN_LABEL, 4),
)  # fmt: skip
_REPLY, _TOKEN = 14, 15
_FACTS_END, _SUMMARY_START = 10, 11  # columns A–K hold the facts, L–O the summary by rule
_SUMMARY_ROWS = 5
#: Gravest first.
RANK: dict[str, int] = {outcome: rank for rank, outcome in enumerate(OUTCOMES)}
_LINE_POINTS = 14.0
_MAX_TEXT = 32_000  # a cell holds 32,767 characters


@dataclass(frozen=True)
class Issue(Finding):
    """A finding as it is shown: whether a reply or a waiver has closed it.

    `status`: open, explained, waived or noted. `proposal`: last period's reply to the same query.
    """

    status: str = "open"
    explanation: str = ""
    proposal: str = ""

    @classmethod
    def of(cls, finding: Finding) -> "Issue":
        """A finding of which nothing more is known."""
        return cls(**{field.name: getattr(finding, field.name) for field in fields(Finding)})


@dataclass(frozen=True)
class Heading:
    """What stands above the list. `received_at`: Beijing time, in ISO form or in words. `counts`: rule id → true number of findings.

    `reply_key`: what the tokens are made with."""

    receipt_number: str
    submission_id: str
    county_name: str
    received_at: str
    verdict: str
    counts: Mapping[str, int]
    what_next: str
    reply_key: str = ""


@dataclass(frozen=True)
class FindingsSheet:
    """The list as a worksheet part, and the names that belong to it: (name, refers to, hidden)."""

    xml: str
    names: tuple[tuple[str, str, bool], ...]


def in_order(issues: Sequence[Issue]) -> list[Issue]:
    """Open before closed, errors before queries before infos, then by place."""
    return sorted(
        issues,
        key=lambda issue: (
            issue.status != "open",
            RANK.get(issue.outcome, len(RANK)),
            issue.form_label,
            issue.sheet,
            issue.source_row or 0,
            len(issue.cell),
            issue.cell,
            issue.rule_id,
            issue.finding_id,
        ),
    )


def note(numbered: Sequence[tuple[int, Issue]]) -> str:
    """The words of the note on one cell; several findings of a cell share it."""
    parts = []
    for number, issue in numbered:
        lines = [f"第 {number} 号 · {OUTCOME_LABELS.get(issue.outcome, issue.outcome)} · {issue.rule_id}"]
        lines += [
            f"{label}：{text}"
            for label, text in (("现值", issue.value), ("应为", issue.expected), ("差额", issue.difference))
            if text
        ]
        lines += [f"问题：{issue.message}", f"怎么改：{issue.remedy}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


class _Writer:
    """Rows of inline strings."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.merges: list[str] = []

    def row(self, height: float, cells: Sequence[tuple[int, int, str]]) -> int:
        """Add a row of (column, format, text); returns its number from 1."""
        number = len(self.rows) + 1
        written = "".join(
            f'<c r="{column_letter(column)}{number}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{xml_text(text[:_MAX_TEXT])}</t></is></c>'
            if text
            else f'<c r="{column_letter(column)}{number}" s="{style}"/>'
            for column, style, text in cells
        )
        self.rows.append(f'<row r="{number}" ht="{min(409, height):g}" customHeight="1">{written}</row>')
        return number

    def merge(self, row: int, first: int, last: int) -> None:
        self.merges.append(f"{column_letter(first)}{row}:{column_letter(last)}{row}")


def findings_sheet(
    name: str,
    issues: Sequence[Issue],
    heading: Heading,
    *,
    file_name: str,
    lost: Sequence[str],
    links: Mapping[tuple[str, str], str],
    styles: Styles,
    explained_by: str,
) -> FindingsSheet:
    """Build the list.

    `issues` in order. `links`: (sheet, cell) of a finding → the place that its row links to. `lost`: what of the county's workbook
    the copy does not hold. `explained_by`: the line that says how to use the list.
    """
    look = _Look(styles)
    writer = _Writer()
    _heading(writer, look, issues, heading, file_name, lost, explained_by)
    header = writer.row(24, [(column, look.header, label) for column, (label, _) in enumerate(_COLUMNS)])
    hyperlinks: list[str] = []
    reply_rows: list[int] = []
    for number, issue in enumerate(issues, start=1):
        row = header + number
        link = links.get((issue.sheet, issue.cell))
        if link:
            target = column_letter(5 if issue.cell else 4) + str(row)
            hyperlinks.append(
                f'<hyperlink ref="{target}" location="{quoted(link)}" display="{quoted(issue.cell or issue.sheet)}" tooltip="点击跳到该单元格"/>'
            )
        takes_reply = issue.outcome == "query" and issue.status != "waived"
        if takes_reply:
            reply_rows.append(row)
        _finding(writer, look, number, issue, heading.reply_key, takes_reply=takes_reply, linked=bool(link))
    last = header + len(issues)
    grid = f"A{header}:{column_letter(_TOKEN)}{last}"
    columns = "".join(
        f'<col min="{index}" max="{index}" width="{width}" customWidth="1"{" hidden=" + chr(34) + "1" + chr(34) if label == TOKEN_LABEL else ""}/>'
        for index, (label, width) in enumerate(_COLUMNS, start=1)
    )
    reply_cells = _ranges(column_letter(_REPLY), reply_rows)
    first_reply = f"{column_letter(_REPLY)}{reply_rows[0]}" if reply_rows else f"A{header + 1}"
    worst = next((issue.outcome for issue in issues if issue.status == "open"), "")
    tab = f'<tabColor rgb="{COLOURS[worst]}"/>' if worst in COLOURS else ""
    validation = (
        f'<dataValidations count="1"><dataValidation type="textLength" operator="lessThanOrEqual" allowBlank="1" '
        f'showInputMessage="1" showErrorMessage="1" errorTitle="说明过长" error="核实说明不超过 {MAX_REPLY} 个字。" '
        f'promptTitle="核实说明" prompt="数据确实无误时在此写明原因（不超过 {MAX_REPLY} 字），保存后把本文件放回原报送信箱。灰色的“{PROPOSAL_MARK}”是上期答复，仍然适用的，请删去这几个字。请勿填写身份证号、手机号。" '
        f'sqref="{" ".join(reply_cells)}"><formula1>{MAX_REPLY}</formula1></dataValidation></dataValidations>'
        if reply_cells
        else ""
    )
    xml = (
        f'<worksheet xmlns="{MAIN}"><sheetPr>{tab}<pageSetUpPr fitToPage="1"/></sheetPr>'
        f'<dimension ref="A1:{column_letter(_TOKEN)}{last}"/>'
        '<sheetViews><sheetView showGridLines="0" tabSelected="1" workbookViewId="0">'
        f'<pane ySplit="{header}" topLeftCell="A{header + 1}" activePane="bottomLeft" state="frozen"/>'
        f'<selection pane="bottomLeft" activeCell="{first_reply}" sqref="{first_reply}"/></sheetView></sheetViews>'
        f'<sheetFormatPr defaultRowHeight="15"/><cols>{columns}</cols><sheetData>{"".join(writer.rows)}</sheetData>'
        '<sheetProtection sheet="1" objects="1" scenarios="1" formatColumns="0" formatRows="0" sort="0" autoFilter="0"/>'
        f'<autoFilter ref="{grid}"/>'
        f'<mergeCells count="{len(writer.merges)}">{"".join(f"""<mergeCell ref="{ref}"/>""" for ref in writer.merges)}</mergeCells>'
        f"{validation}"
        f"{'<hyperlinks>' + ''.join(hyperlinks) + '</hyperlinks>' if hyperlinks else ''}"
        '<pageMargins left="0.4" right="0.4" top="0.5" bottom="0.6" header="0.3" footer="0.3"/>'
        '<pageSetup paperSize="9" orientation="landscape" fitToWidth="1" fitToHeight="0"/>'
        f"<headerFooter><oddFooter>&amp;L{quoted(_footer(heading.receipt_number))}&amp;R第 &amp;P 页 / 共 &amp;N 页</oddFooter></headerFooter>"
        "</worksheet>"
    )
    area = link_to(name, f"$A${header}:${column_letter(_TOKEN)}${last}")
    names = (
        ("_xlnm._FilterDatabase", area, True),
        ("_xlnm.Print_Titles", link_to(name, f"${header}:${header}"), False),
        ("_xlnm.Print_Area", link_to(name, f"$A$1:${column_letter(_REPLY)}${last}"), False),
    )
    return FindingsSheet(xml, names)


def _ranges(letter: str, rows: Sequence[int]) -> list[str]:
    """Rows of one column as ranges: 5, 6, 7, 9 → O5:O7, O9."""
    return [f"{letter}{first}:{letter}{last}" if last > first else f"{letter}{first}" for first, last in runs(rows)]


def _footer(text: str) -> str:
    return "回执 " + text.replace("&", "")


class _Look:
    """The formats of the list."""

    def __init__(self, styles: Styles) -> None:
        ink, grey, line = "FF1F2933", "FF7B8794", styles.border("FFC9D1DB")
        body, strong = styles.font(), styles.font(bold=True)
        self.title = styles.cell(font=styles.font(size=15, bold=True), vertical="center")
        self.label = styles.cell(font=styles.font(colour=grey), vertical="center")
        self.fact = styles.cell(font=body, vertical="center")
        self.strong = styles.cell(font=styles.font(size=11, bold=True), vertical="center")
        self.header = styles.cell(
            font=styles.font(bold=True, colour="FFFFFFFF"), fill=styles.solid("FF2F4B6E"), border=line, horizontal="center",
            vertical="center",
        )  # fmt: skip
        self.small_header = styles.cell(font=strong, fill=styles.solid("FFE4EAF1"), border=line, vertical="center")
        self.small = styles.cell(font=body, border=line, vertical="center")
        self.text = styles.cell(font=body, border=line)
        self.number = styles.cell(font=body, border=line, horizontal="right")
        self.middle = styles.cell(font=body, border=line, horizontal="center")
        self.link = styles.cell(font=styles.font(colour="FF0B5CAD", underline=True), border=line, horizontal="center")
        self.closed = styles.cell(font=styles.font(colour=grey), border=line)
        self.outcome = {
            outcome: styles.cell(
                font=styles.font(bold=True, colour=ink), fill=styles.solid(colour), border=line, horizontal="center"
            )
            for outcome, colour in COLOURS.items()
        }
        self.legend = {
            outcome: styles.cell(
                font=styles.font(bold=True, colour=ink), fill=styles.solid(colour), border=line, horizontal="center",
                vertical="center",
            )
            for outcome, colour in COLOURS.items()
        }  # fmt: skip
        answer = styles.solid("FFFFF8DC")
        self.reply = styles.cell(font=body, fill=answer, border=line, locked=False)
        self.proposal = styles.cell(font=styles.font(colour=grey), fill=answer, border=line, locked=False)
        self.no_reply = styles.cell(font=body, fill=styles.solid("FFF1F3F5"), border=line)
        self.token = styles.cell(font=styles.font(size=8, colour=grey))


def _heading(
    writer: _Writer,
    look: _Look,
    issues: Sequence[Issue],
    heading: Heading,
    file_name: str,
    lost: Sequence[str],
    explained_by: str,
) -> None:
    """Title and facts on the left, the summary by rule on the right: both stay in view above the list."""
    open_counts = _open_counts(issues, heading)
    facts = [
        ("文件", f"{file_name}　{moment(heading.received_at)} 收到", look.fact),
        ("结论", heading.verdict, look.strong),
        ("下一步", heading.what_next, look.strong),
        ("怎么用", explained_by, look.fact),
    ]
    if lost:
        facts.append(("未保留", "；".join(lost), look.fact))
    summary = _summary(issues, heading)
    number = writer.row(
        27,
        [(0, look.title, f"审核问题清单　{heading.county_name}　回执 {heading.receipt_number}")]
        + [(_SUMMARY_START, look.small_header, "按规则汇总"), (_SUMMARY_START + 1, look.small_header, "规则"),
           (_SUMMARY_START + 2, look.small_header, "等级"), (_SUMMARY_START + 3, look.small_header, "处数")],
    )  # fmt: skip
    writer.merge(number, 0, _FACTS_END)
    facts_width = sum(width for _, width in _COLUMNS[2 : _FACTS_END + 1])
    for index in range(max(len(facts), len(summary))):
        cells: list[tuple[int, int, str]] = []
        height = 20.0
        if index < len(facts):
            label, text, style = facts[index]
            cells += [(0, look.label, label), (2, style, text)]
            height = max(height, lines_of(text, int(facts_width * 0.92)) * 15 + 5)
        if index < len(summary):
            message, rule_id, outcome, count = summary[index]
            cells += [
                (_SUMMARY_START, look.small, message), (_SUMMARY_START + 1, look.small, rule_id),
                (_SUMMARY_START + 2, look.legend.get(outcome, look.small), OUTCOME_LABELS.get(outcome, "")),
                (_SUMMARY_START + 3, look.small, count),
            ]  # fmt: skip
            width = 33 if rule_id else 108
            height = max(height, lines_of(message, width) * 14 + 5, lines_of(rule_id, 33) * 14 + 5)
        number = writer.row(height, cells)
        if index < len(summary) and not summary[index][1]:
            writer.merge(number, _SUMMARY_START, _REPLY)
        if index < len(facts):
            writer.merge(number, 0, 1)
            writer.merge(number, 2, _FACTS_END)
    number = writer.row(
        20,
        [(0, look.label, "图例"), (2, look.legend["error"], f"错误 {open_counts['error']}"), (3, look.fact, "必须改正"),
         (4, look.legend["query"], f"核实 {open_counts['query']}"), (5, look.fact, "改正，或在“核实说明”栏写明原因"),
         (8, look.legend["info"], f"提示 {open_counts['info']}"), (9, look.fact, "供参考，不必答复")],
    )  # fmt: skip
    writer.merge(number, 0, 1)
    writer.merge(number, 5, 7)
    writer.merge(number, 9, 11)
    writer.row(6, [])


def _open_counts(issues: Sequence[Issue], heading: Heading) -> dict[str, int]:
    """Outcome → findings that still need an answer, those over the cap included."""
    counts = dict.fromkeys(COLOURS, 0)
    listed: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        listed.setdefault((issue.rule_id, issue.outcome), []).append(issue)
    for (rule_id, outcome), members in listed.items():
        closed_n = sum(1 for issue in members if issue.status in ("explained", "waived"))
        counts[outcome] = counts.get(outcome, 0) + max(heading.counts.get(rule_id, 0), len(members)) - closed_n
    return counts


def _summary(issues: Sequence[Issue], heading: Heading) -> list[tuple[str, str, str, str]]:
    """(message, rule id, outcome, count) a rule, errors first; the rules that do not fit share the last line."""
    listed: dict[str, list[Issue]] = {}
    for issue in issues:
        listed.setdefault(issue.rule_id, []).append(issue)
    lines: list[tuple[str, str, str, str]] = []
    for rule_id, members in listed.items():
        true_n = max(heading.counts.get(rule_id, len(members)), len(members))
        count = f"{true_n:,} 处" + (f"（列出前 {len(members)} 处）" if true_n > len(members) else "")
        closed = sum(1 for issue in members if issue.status in ("explained", "waived"))
        count += f"，已说明或豁免 {closed} 处" if closed else ""
        example = members[0].message if len({issue.message for issue in members}) == 1 else f"如：{members[0].message}"
        lines.append((example if len(example) <= 60 else example[:59] + "…", rule_id, members[0].outcome, count))
    unlisted = [rule_id for rule_id in heading.counts if rule_id not in listed and heading.counts[rule_id]]
    lines += [("（未逐条列出）", rule_id, "", f"{heading.counts[rule_id]:,} 处") for rule_id in sorted(unlisted)]
    lines.sort(key=lambda line: RANK.get(line[2], len(RANK)))
    if len(lines) <= _SUMMARY_ROWS:
        return lines
    rest = lines[_SUMMARY_ROWS - 1 :]
    joined = "；".join(f"{rule_id} {count}" for _, rule_id, _, count in rest)
    return [*lines[: _SUMMARY_ROWS - 1], (f"另有 {len(rest)} 条规则：{joined}", "", "", "")]


def _finding(
    writer: _Writer, look: _Look, number: int, issue: Issue, reply_key: str, *, takes_reply: bool, linked: bool
) -> None:
    is_open = issue.status == "open"
    label = OUTCOME_LABELS.get(issue.outcome, issue.outcome)
    if not is_open:
        label += "（已豁免）" if issue.status == "waived" else "（已说明）"
    text, figure = (look.text, look.number) if is_open else (look.closed, look.closed)
    reply, reply_style = "", look.reply if takes_reply else look.no_reply
    if issue.explanation:
        reply = issue.explanation
    elif issue.proposal and takes_reply:
        reply, reply_style = PROPOSAL_MARK + issue.proposal, look.proposal
    row_label = issue.row_label or (f"第 {issue.source_row} 行" if issue.source_row else "")
    values = [
        (str(number), look.middle if is_open else look.closed),
        (label, look.outcome.get(issue.outcome, text) if is_open else look.closed),
        (issue.form_label, text),
        (issue.period or "", text),
        (issue.sheet, look.link if linked and not issue.cell else text),
        (issue.cell, look.link if linked and issue.cell else text),
        (row_label, text),
        (issue.column_label, text),
        (issue.value, figure),
        (issue.expected, figure),
        (issue.difference, figure),
        (issue.message, text),
        (issue.remedy, text),
        (issue.rule_id, text),
        (reply, reply_style),
        (token(issue, reply_key) if takes_reply else "", look.token),
    ]
    lines = max(
        lines_of(shown, max(3, width - 1)) for (shown, _), (_, width) in zip(values[:-1], _COLUMNS, strict=False)
    )
    writer.row(lines * _LINE_POINTS + 5, [(column, style, shown) for column, (shown, style) in enumerate(values)])
