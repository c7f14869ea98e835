"""The index of a county's outbox as a page: what is left to do, what is in force, and the way to every receipt and annotated workbook.

Belongs here: how the index looks. What it says is data made elsewhere. Its links are relative: it works from a folder, from a stick and
from a web server alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pipelines.answers.page import day, moment, page, text

_STYLE = """
main { max-width: 1180px; margin: 16px auto; padding: 18px 26px 22px; background: #fff; box-shadow: 0 1px 6px #0003; }
header { display: flex; justify-content: space-between; align-items: flex-end; border-bottom: 2px solid #2f4b6e; padding-bottom: 8px; }
h1 { margin: 0; font-size: 18pt; font-weight: 600; }
header p { margin: 0; color: #52606d; text-align: right; }
h2 { margin: 20px 0 6px; font-size: 12pt; color: #2f4b6e; } h3 { margin: 14px 0 4px; font-size: 10.5pt; }
a { color: #0b5cad; }
table { table-layout: fixed; }
table.to-do th { width: 24%; } table.to-do th:nth-child(2) { width: 13%; } table.to-do th:nth-child(3) { width: 45%; }
table.filings th { width: 13%; } table.filings th:nth-child(2) { width: 17%; } table.filings th:nth-child(3) { width: 26%; } table.filings th:nth-child(4) { width: 44%; }
td { font-size: 9.5pt; } td.short { white-space: nowrap; }
ul { margin: 0; padding: 0; list-style: none; } li { margin: 0 0 2px; }
li + li { border-top: 1px dotted #c9d1db; padding-top: 2px; }
.tag { display: inline-block; padding: 0 6px; border-width: 1px; border-style: solid; font-weight: 600; font-size: 9pt; }
.done { padding: 8px 12px; border: 1px solid; }
@media print { body { background: none; } main { max-width: none; margin: 0; padding: 0; box-shadow: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def index_page(content: Mapping[str, Any]) -> str:
    """The index as one HTML page.

    `content`: `county_name`, `county_code`, `city_name`; `to_do`: form_label, period_label, step, tone, label, page, annotated;
    `missing`: form_label, period_label, due_on; `returns`: form_label and `filings` (period_label, due_on, in_force, label, tone,
    versions); `others`: as `versions`. A version: file_name, received_at, what, label, tone, page, annotated. `page` and `annotated` are
    names of files beside the index, blank for none.
    """
    body = [
        f"<header><h1>{text(content['county_name'])}　回执目录</h1>"
        f"<p>{text(content['city_name'])}<br>行政区划代码 <span class='code'>{text(content['county_code'])}</span></p></header>",
        _to_do(content["to_do"]),
        _missing(content["missing"]),
        _others(content["others"]),
        *map(_return, content["returns"]),
        '<footer class="small">本页由系统自动生成，每次有新的报送或处理后更新；点“回执”“标注工作簿”打开同一文件夹里的文件。时间均为北京时间。</footer>',
    ]
    return page(f"{content['county_name']} 回执目录", _STYLE, "".join(body))


def _link(name: str, label: str) -> str:
    return f'<a href="{quote(name)}">{text(label)}</a>' if name else ""


def _links(one: Mapping[str, Any]) -> str:
    return "　".join(filter(None, (_link(one["page"], "回执"), _link(one["annotated"], "标注工作簿"))))


def _tag(one: Mapping[str, Any]) -> str:
    return f'<span class="tag {text(one["tone"])}">{text(one["label"])}</span>'


def _table(kind: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    return (
        f"<table class='{kind}'><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"
    )


def _to_do(entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return '<h2>要办的事</h2><p class="done good">已收到的报表没有要办的事。</p>'
    lines = [
        f'<td>{text(one["form_label"])}</td><td class="short">{text(one["period_label"])}</td><td>{_tag(one)}<br>{text(one["step"])}</td>'
        f'<td class="short">{_links(one)}</td>'
        for one in entries
    ]
    return f"<h2>要办的事（{len(entries)}）</h2>" + _table("to-do", ("报表", "报告期", "要做什么", "打开"), lines)


def _missing(entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return ""
    lines = [
        f'<td>{text(one["form_label"])}</td><td class="short">{text(one["period_label"])}</td><td class="short">{text(day(one["due_on"]))}</td>'
        for one in entries
    ]
    return f"<h2>还没有收到的报表（{len(entries)}）</h2>" + _table("missing", ("报表", "报告期", "截止日期"), lines)


def _return(one: Mapping[str, Any]) -> str:
    lines = [
        f'<td class="short">{text(filing["period_label"])}<br><span class="small">截止 {text(day(filing["due_on"])) or "未规定"}</span></td>'
        f"<td>{_tag(filing)}</td><td>{text(filing['in_force']) or '暂无'}</td><td>{_versions(filing['versions'])}</td>"
        for filing in one["filings"]
    ]
    return f"<h2>{text(one['form_label'])}</h2>" + _table(
        "filings", ("报告期", "情况", "现行有效", "收到的文件（新的在前）"), lines
    )


def _versions(versions: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<li>{text(one['what'])}　{text(one['file_name'])}　<span class='small'>{text(moment(one['received_at']))}</span>"
        f"　{text(one['label'])}　{_links(one)}</li>"
        for one in versions
    )
    return f"<ul>{items}</ul>"


def _others(entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return ""
    lines = [
        f'<td>{text(one["file_name"])}<br><span class="small">{text(moment(one["received_at"]))}</span></td><td>{_tag(one)}<br>{text(one["step"])}</td>'
        f'<td class="short">{_links(one)}</td>'
        for one in entries
    ]
    return "<h2>没有算作报表的文件</h2>" + _table("others", ("文件", "结果", "打开"), lines)
