"""What the pages for the counties have in common: one HTML file each, no script, nothing fetched from anywhere, everything escaped.

Belongs here: the frame of a page with its policy, and how a county's text and a moment are shown. What a page says is `receipt_page`
and `index_page`.
"""

from datetime import datetime
from html import escape
from typing import Any

#: Verdict → the tone in which it is told.
TONES = {"accepted": "good", "accepted_with_queries": "ask", "rejected": "bad"}
_COMMON_STYLE = """
* { box-sizing: border-box; }
body { margin: 0; color: #1f2933; background: #eef1f4; font: 10pt/1.5 "Microsoft YaHei", "PingFang SC", "Noto Sans CJK SC", "SimSun", sans-serif; }
.code { font-family: Consolas, "DejaVu Sans Mono", monospace; word-break: break-all; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .9mm 2mm; border: 1px solid #c9d1db; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #eef2f6; font-weight: 600; white-space: nowrap; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
.small { font-size: 8.5pt; color: #52606d; }
footer { margin-top: 4mm; padding-top: 2mm; border-top: 1px solid #c9d1db; }
"""

#: After the page's own: a tone colours whatever border that has drawn.
_TONE_STYLE = """
.good { border-color: #2e7d4f; background: #edf7f0; } .good .mark, .good strong { color: #1f6b3f; }
.ask { border-color: #b7791f; background: #fff8e6; } .ask .mark, .ask strong { color: #8a5a10; }
.bad { border-color: #c0392b; background: #fdeeec; } .bad .mark, .bad strong { color: #a42a1e; }
.fault { border-color: #5b4b8a; background: #f3f0fa; } .fault .mark, .fault strong { color: #4a3b78; }
"""


def page(title: str, style: str, body: str) -> str:
    """The page; `title` is plain text, `style` and `body` are ours, their values escaped by `text`."""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{text(title)}</title><style>{_COMMON_STYLE}{style}{_TONE_STYLE}</style></head>\n<body><main>{body}</main></body></html>\n"
    )


def text(value: Any) -> str:
    """A value as text of the page. Characters that turn the direction of text or cannot be seen would mislead: they go."""
    plain = "" if value is None else str(value)
    return escape("".join(character if character.isprintable() else " " for character in plain))


def moment(iso: Any) -> str:
    """ "2024-10-08T09:30:00+08:00" → 2024年10月8日 09:30; what is no such time stays as it is."""
    try:
        read = datetime.fromisoformat(str(iso))
    except ValueError:
        return str(iso or "")
    return f"{read.year}年{read.month}月{read.day}日 {read:%H:%M}"


def day(iso: Any) -> str:
    """The day of a moment."""
    return moment(iso).partition(" ")[0]
