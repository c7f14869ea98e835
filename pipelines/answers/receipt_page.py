"""The receipt as a page that a clerk can print and file: one A4 sheet, no script, nothing fetched from anywhere.

Belongs here: how the receipt looks. What it says is data made elsewhere (the same that is written as JSON beside it); this page adds
no judgement of its own. Every value is escaped; a policy in the page itself forbids scripts and outside resources besides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.answers.page import TONES, day, moment, page, text

OUTCOME_LABELS = {"error": "错误", "query": "核实", "info": "提示"}
_MARKS = {"good": "✓", "ask": "？", "bad": "✕", "fault": "！"}

_STYLE = """
@page { size: A4; margin: 12mm 15mm 12mm; }
main { width: 210mm; min-height: 297mm; margin: 8mm auto; padding: 14mm 15mm 16mm; background: #fff; box-shadow: 0 1px 6px #0003; }
header { display: flex; justify-content: space-between; align-items: flex-end; border-bottom: 2px solid #2f4b6e; padding-bottom: 3mm; }
h1 { margin: 0; font-size: 19pt; letter-spacing: .25em; font-weight: 600; }
header p { margin: 0; color: #52606d; text-align: right; }
.verdict { display: flex; gap: 4mm; align-items: center; margin: 4mm 0 3.5mm; padding: 3mm 4mm; border: 1px solid; border-left-width: 2.5mm; }
.verdict .mark { font-size: 20pt; line-height: 1; width: 10mm; text-align: center; }
.verdict strong { display: block; font-size: 13pt; }
.verdict p { margin: .5mm 0 0; }
h2 { margin: 4mm 0 1.2mm; font-size: 11pt; color: #2f4b6e; }
table.facts th { width: 26mm; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.findings { font-size: 9pt; line-height: 1.4; } table.findings td { padding: .8mm 2mm; }
table.findings td:nth-child(1) { white-space: nowrap; } table.findings td:nth-child(2) { width: 34%; }
.filing { break-inside: avoid; margin: 0 0 3mm; border: 1px solid #c9d1db; }
.filing h3 { margin: 0; padding: 1.6mm 2mm; background: #eef2f6; font-size: 10.5pt; display: flex; justify-content: space-between; gap: 4mm; }
.filing h3 span { flex: none; font-weight: 600; }
.filing h3 .bad, .filing h3 .ask, .filing h3 .good { padding: 0 2mm; border-width: 1px; border-style: solid; font-size: 9pt; }
.filing dl { margin: 0; padding: 1.5mm 2mm; display: grid; grid-template-columns: 20mm 1fr 20mm 1fr; gap: .6mm 2mm; }
.filing dt { color: #52606d; } .filing dd { margin: 0; overflow-wrap: anywhere; }
.filing dd.wide { grid-column: 2 / 5; }
.next { font-weight: 600; }
td.error { color: #a42a1e; font-weight: 600; } td.query { color: #8a5a10; font-weight: 600; } td.info { color: #22577a; }
@media print { body { background: none; } main { width: auto; min-height: 0; margin: 0; padding: 0; box-shadow: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def receipt_page(content: Mapping[str, Any]) -> str:
    """The receipt as one HTML page. `content`: the receipt's data, as written to `_回执.json`."""
    returned = any(filing.get("is_returned") for filing in content.get("filings") or [])
    tone = (
        "fault" if content.get("system_fault") else "bad" if returned else TONES.get(str(content.get("verdict")), "bad")
    )
    number = text(content.get("receipt_number"))
    parts = [
        f"<header><h1>报送回执</h1><p>{text(content.get('city_name'))}<br>编号 <span class='code'>{number}</span></p></header>",
        _verdict(content, tone),
        _facts(content),
        _filings(content.get("filings") or []),
        _members(content.get("batch_members") or []),
        _findings(content),
        _footer(content),
    ]
    return page(f"报送回执 {content.get('receipt_number') or ''}", _STYLE, "".join(parts))


def _verdict(content: Mapping[str, Any], tone: str) -> str:
    if tone == "fault":
        title = "系统故障：与贵县区填报无关"
        extra = "本次未能完成审核，且没有发现任何问题。这是本系统的故障，不是报送错误，贵县区无需处理。"
    else:
        title, extra = str(content.get("verdict_label") or ""), ""
    said = str(content.get("next_step") or "")
    words = f"<p>{text(extra)}</p>" if extra else ""
    words += f"<p><b>下一步：</b>{text(said)}</p>" if said else ""
    return f'<section class="verdict {tone}"><div class="mark">{_MARKS[tone]}</div><div><strong>{text(title)}</strong>{words}</div></section>'


def _facts(content: Mapping[str, Any]) -> str:
    arrivals = [arrival for arrival in content.get("arrivals") or [] if arrival.get("again")]
    found = content.get("findings") or {}
    rows = [
        ("报送单位", f"{text(content.get('source_county_name'))}（{text(content.get('source_county_code'))}）"),
        ("收到时间", f"{text(moment(content.get('received_at')))}（北京时间）"),
        ("文件名", f"{text(content.get('file_name'))}（{int(content.get('size_bytes') or 0):,} 字节）"),
        ("SHA-256", f'<span class="code">{text(content.get("submission_id"))}</span>'),
    ]
    erased = content.get("erased")
    if erased:
        rows.append(
            ("原件", f"含个人信息，市局已于 {text(moment(erased.get('at')))} 删除：{text(erased.get('reason'))}")
        )
    batch = content.get("batch")
    if batch:
        rows.append(("来自压缩包", f"{text(batch.get('file_name'))}（回执 {text(batch.get('receipt_number'))}）"))
    if arrivals:
        again = "；".join(
            f"{text(moment(one.get('received_at')))}（{text(one.get('file_name'))}）" for one in arrivals[:5]
        )
        more = f" 等 {len(arrivals)} 次" if len(arrivals) > 5 else ""
        rows.append(("再次收到", f"内容完全相同，不重复处理：{again}{more}"))
    replies_only = bool(content.get("filings")) and all(filing.get("is_reply") for filing in content["filings"])
    counts = "　".join(f"{label} {int(found.get(outcome) or 0):,} 处" for outcome, label in OUTCOME_LABELS.items())
    if not replies_only or any(found.values()):
        rows.append(("审核问题", counts))
    if content.get("explanations_n"):
        rows.append(("核实说明", f"读到 {int(content['explanations_n']):,} 条"))
    if content.get("annotated_file"):
        rows.append(("标注工作簿", f"{text(content['annotated_file'])}（与本回执放在同一文件夹）"))
    lines = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in rows)
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def _filings(filings: Sequence[Mapping[str, Any]]) -> str:
    return "<h2>报表</h2>" + "".join(_filing(filing) for filing in filings) if filings else ""


def _filing(filing: Mapping[str, Any]) -> str:
    tone = "bad" if filing.get("is_returned") else TONES.get(str(filing.get("verdict")), "bad")
    queries = int(filing.get("queries_n") or 0)
    query_words = f"核实 {queries:,}"
    if queries and filing.get("explained_queries_n"):
        query_words += (
            f"（已说明 {int(filing['explained_queries_n']):,}，还须核实 {int(filing.get('open_queries_n') or 0):,}）"
        )
    due = text(day(filing.get("due_on"))) or "未规定"
    if filing.get("due_on") and filing.get("is_on_time") is not None:
        due += "（按时）" if filing["is_on_time"] else "（逾期）"
    pairs = [
        ("报告期", text(filing.get("period_label"))),
        ("版次", f"第 {text(filing.get('version_n'))} 版" if filing.get("version_n") is not None else "—"),
        ("截止日期", due),
        ("数据行", f"{int(filing.get('rows_n') or 0):,} 行"),
    ]
    wide = [
        (
            "问题",
            f"错误 {int(filing.get('errors_n') or 0):,}　{query_words}　提示 {int(filing.get('infos_n') or 0):,}",
        ),
        ("现行有效", _in_force(filing)),
    ]
    if filing.get("passed_over"):
        wide.insert(0, ("未读入的行", _passed_over(filing["passed_over"])))
    same = filing.get("same_values_as_version_n")
    if same is not None:
        wide.append(("内容比对", f"数值与第 {text(same)} 版完全相同"))
    locked = filing.get("locked")
    if locked:
        until = f"，至 {text(moment(locked['until']))}" if locked.get("until") else ""
        wide.append(("已锁定", f"自 {text(moment(locked.get('since')))}{until}：{text(locked.get('reason'))}"))
    decision = filing.get("decision")
    if decision:
        wide.append(
            (
                "市局处理",
                f"{text(decision.get('action_label'))}（{text(decision.get('by'))}，{text(moment(decision.get('at')))}）：{text(decision.get('reason'))}",
            )
        )
    for waiver in filing.get("waivers") or []:
        until = f"，至 {text(day(waiver['until']))}" if waiver.get("until") else ""
        wide.append(
            (
                "豁免",
                f"{text(waiver.get('rule_id'))}（{text(waiver.get('by'))}{until}）：{text(waiver.get('reason'))}",
            )
        )
    if filing.get("next_step"):
        wide.append(("下一步", f'<span class="next">{text(filing["next_step"])}</span>'))
    short = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in pairs)
    long = "".join(f'<dt>{label}</dt><dd class="wide">{value}</dd>' for label, value in wide)
    return (
        f'<section class="filing"><h3>{text(filing.get("form_label"))}　{text(filing.get("county_name"))}'
        f'<span class="{tone}">{text(filing.get("verdict_label"))}</span></h3><dl>{short}{long}</dl></section>'
    )


def _passed_over(told: Mapping[str, Any]) -> str:
    """What of the sheet's rows is no data, by kind, with their numbers; those of the sheets without a table by their names."""
    kinds = "；".join(
        f"{text(kind.get('label'))} {int(kind.get('rows_n') or 0):,} 行（第 {text(_few(kind.get('rows')))} 行）"
        for kind in told.get("kinds") or []
    )
    sheets = "、".join(
        f"“{text(one.get('sheet'))}” {int(one.get('rows_n') or 0):,} 行" for one in (told.get("sheets") or [])[:8]
    )
    whole = f"全表 {int(told.get('sheet_rows_n') or 0):,} 行，其余：{kinds or '无'}"
    return f"{whole}。没有报表的工作表：{sheets}" if sheets else whole


def _few(rows: Any) -> str:
    """Row numbers, the first of them where they are many."""
    spans = str(rows or "").split("、")
    return "、".join(spans[:6]) + (" 等" if len(spans) > 6 else "")


def _in_force(filing: Mapping[str, Any]) -> str:
    known = filing.get("in_force")
    if not known:
        return "暂无（本期还没有接收的版本）"
    words = f"第 {text(known.get('version_n'))} 版　{text(known.get('file_name'))}　{text(moment(known.get('received_at')))}收到　回执 {text(known.get('receipt_number'))}"
    return ("本次报送：" if filing.get("is_in_force") else "") + words


def _members(members: Sequence[Mapping[str, Any]]) -> str:
    if not members:
        return ""
    lines = "".join(
        f"<tr><td>{text(member.get('file_name'))}</td><td class='code'>{text(member.get('receipt_number'))}</td></tr>"
        for member in members
    )
    return f"<h2>压缩包内的文件</h2><table><thead><tr><th>文件</th><th>回执编号</th></tr></thead><tbody>{lines}</tbody></table>"


def _findings(content: Mapping[str, Any]) -> str:
    # As many as leave the page at one sheet: a return takes about as much room as three findings.
    first = (content.get("first_findings") or [])[: max(3, 8 - 3 * (len(content.get("filings") or []) - 1))]
    if not first:
        return ""
    total = int(content.get("open_findings_n") or len(first))
    lines = "".join(
        f'<tr><td class="{text(one.get("outcome"))}">{text(OUTCOME_LABELS.get(one.get("outcome"), one.get("outcome")))}</td>'
        f"<td>{_place(one)}</td><td>{text(one.get('message'))}<br><span class='small'>怎么改：{text(one.get('remedy'))}</span></td></tr>"
        for one in first
    )
    title = "待处理的问题" + (f"（列出 {len(first)} 处，全部见标注工作簿）" if total > len(first) else "")
    return (
        f'<h2>{title}</h2><table class="findings"><thead><tr><th>等级</th><th>位置</th><th>问题与改法</th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _place(one: Mapping[str, Any]) -> str:
    sheet, cell = text(one.get("sheet")), text(one.get("cell"))
    return f"{sheet} <b>{cell}</b>" if sheet and cell else sheet or cell or "整个文件"


def _footer(content: Mapping[str, Any]) -> str:
    return (
        '<footer class="small">本回执由系统自动生成；以 SHA-256 核对文件是否为同一份。'
        f"咨询时请报回执编号 <span class='code'>{text(content.get('receipt_number'))}</span>。</footer>"
    )
