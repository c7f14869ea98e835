"""Replies of a county to queries: written into the list of findings that was returned to it, and read back from there.

Belongs here: the token by which a query is known again, and reading the list. Which query a reply closes, and until when, is
decided where the findings of all versions are at hand.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pipelines.characters import folded, folded_name, visible
from pipelines.screening.identify import Observation, findings_header
from pipelines.workbooks.personal_data import mask
from pipelines.workbooks.workbook import FINDINGS_SHEET, REPLY_LABEL, TOKEN_LABEL, Sheet, Workbook, cell_address

#: A reply that begins with this mark is last period's, proposed by us: no reply until the clerk takes the mark away.
PROPOSAL_MARK = "（上期说明）"
MAX_REPLY = 500
UNREADABLE = "FILE-0-reply-unreadable"

_FIELDS = 7
_LONGEST_FIELD = 400
_PREFIX = "X1"
#: Hexadecimal digits as letters: a run of figures in a token could pass for somebody's phone number.
_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopabcdef")
_DIFFERENCE = re.compile(r"([+-]?)([0-9]{1,24})(?:\.([0-9]{1,10}))?")
_LONG_DIGITS = re.compile(r"(?<![\d.])\d{11,19}[Xx]?(?![\d.]*\d)")


class Query(Protocol):
    """What a token is made of; a finding has it all."""

    @property
    def return_code(self) -> str | None: ...
    @property
    def county_code(self) -> str | None: ...
    @property
    def period(self) -> str | None: ...
    @property
    def rule_id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def column_label(self) -> str: ...
    @property
    def difference(self) -> str: ...


@dataclass(frozen=True)
class Explanation:
    """A county's reply to one query. `deviation`: the difference that it explains, a plain decimal with its sign, "" for none."""

    return_code: str
    county_code: str
    period: str
    rule_id: str
    subject: str
    column_label: str
    deviation: str
    text: str
    sheet: str
    cell: str


def token(query: Query, key: str = "") -> str:
    """What a query is known by when its list comes back: `X1|return|county|period|rule|subject|column|difference|digest`.

    `key`: the home's secret (`Home.reply_key`), without which nobody can make a token for a query that was never asked.
    """
    fields = (
        query.return_code or "",
        query.county_code or "",
        query.period or "",
        query.rule_id,
        query.subject,
        query.column_label,
        query.difference,
    )
    body = "|".join((_PREFIX, *(_packed(text) for text in fields)))
    return f"{body}|{_digest(body, key)}"


def deviation(difference: str) -> str:
    """A difference as plain decimal text: "+12" → "12", "-3.50" → "-3.5"; "" when it is no plain number.

    The text comes back from a county: an exponent could stand for any number of digits, so none is read.
    """
    match = _DIFFERENCE.fullmatch(folded(difference).replace(",", ""))
    if match is None:
        return ""
    whole, fraction = match[2].lstrip("0") or "0", (match[3] or "").rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if match[1] == "-" and number != "0" else number


def read_explanations(workbook: Workbook, key: str = "") -> tuple[list[Explanation], list[Observation]]:
    """The replies in a workbook's list of findings, in the order of its rows.

    Rows may be sorted or deleted and columns moved. A reply that cannot be told to a query is observed at its cell; an empty
    reply, or last period's left as it was proposed, is none.
    """
    explanations: list[Explanation] = []
    observations: list[Observation] = []
    for sheet in workbook.sheets:
        header = findings_header(sheet) if sheet.name == FINDINGS_SHEET else None
        if header is not None:
            for row, column, token_text, reply in _replies(sheet, header):
                read = _read_token(token_text, key)
                if isinstance(read, str):
                    observations.append(Observation(UNREADABLE, sheet.name, row, column, value=reply, detail=read))
                else:
                    return_code, county_code, period, rule_id, subject, column_label, difference = read
                    explanations.append(
                        Explanation(
                            return_code=return_code,
                            county_code=county_code,
                            period=period,
                            rule_id=rule_id,
                            subject=subject,
                            column_label=column_label,
                            deviation=deviation(difference),
                            text=reply,
                            sheet=sheet.name,
                            cell=cell_address(row, column),
                        )
                    )
    return explanations, observations


def _replies(sheet: Sheet, header: int) -> Iterator[tuple[int, int, str, str]]:
    """(row, column, token, reply) of each row with a reply."""
    labels = [folded_name(text or "") for text in sheet.rows[header]]
    token_column, reply_column = labels.index(TOKEN_LABEL), labels.index(REPLY_LABEL)
    for row in range(header + 1, len(sheet.rows)):
        reply = clean(sheet.cell(row, reply_column) or "")
        if reply and not is_proposal(reply):
            yield row, reply_column, (sheet.cell(row, token_column) or "").strip(), reply


def clean(text: str) -> str:
    """A reply as it is kept: one line, stripped, without control characters, long numbers masked, at most 500 characters."""
    printable = "".join(character if character.isprintable() else " " for character in visible(text))
    masked = _LONG_DIGITS.sub(lambda match: mask(match[0]), " ".join(printable.split()))
    return masked if len(masked) <= MAX_REPLY else masked[: MAX_REPLY - 1] + "…"


def is_proposal(reply: str) -> bool:
    """Whether a reply is still last period's, as we proposed it; WPS may have changed the brackets."""
    return folded(reply).startswith(folded(PROPOSAL_MARK))


def _read_token(text: str, key: str) -> list[str] | str:
    """The fields of a token, or what is wrong with it."""
    if not text:
        return "这一行没有问题编号：只有“核实”的问题可以说明，错误须改正数据"
    body, _, digest = text.rpartition("|")
    fields = body.split("|")
    # As bytes: a county may have written anything here, and of text `compare_digest` takes ASCII alone.
    is_ours = hmac.compare_digest(digest.encode("utf-8", "surrogatepass"), _digest(body, key).encode())
    if len(fields) != _FIELDS + 1 or fields[0] != _PREFIX or not is_ours:
        return "这一行的问题编号已被改动，或不是市局返回的工作簿"
    unpacked = [_unpacked(field) for field in fields[1:]]
    if any(
        len(text) > _LONGEST_FIELD or _packed(text) != field for text, field in zip(unpacked, fields[1:], strict=True)
    ):
        return "这一行的问题编号已被改动"
    return unpacked


def _digest(body: str, key: str) -> str:
    made = hmac.new(key.encode(), body.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return made.hexdigest()[:12].translate(_LETTERS)


def _packed(text: str) -> str:
    """A field without the separator, and without what a spreadsheet would change in a cell."""
    return "".join(
        f"%{ord(character):06X}"
        if character in "|%" or not character.isprintable() or character == "\u3000"
        else character
        for character in text.strip(" ")
    )


def _unpacked(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        number = int(match[1], 16)
        # Half a surrogate pair is no character: it could be written nowhere.
        return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else ""

    return re.sub(r"%([0-9A-F]{6})", character, text)
