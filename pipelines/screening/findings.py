"""Findings: one rule broken at one place, in words that a clerk understands.

Belongs here: the shape of a finding and its wording from the rule catalogue. How it is shown (table, terminal, workbook) does
not.
"""

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal

from pipelines.characters import unturned, visible
from pipelines.screening.rules import Rule
from pipelines.workbooks.personal_data import mask, mask_personal

_DIGITS = re.compile(r"(?<![\d.])\d{11,19}[Xx]?(?![\d.]*\d)")
_MAX_TEXT = 200


@dataclass(frozen=True)
class Finding:
    """One rule broken at one place. `cell` is an address such as F12, blank when the finding is about a whole sheet.

    `subject`: the row's key values joined by "/", by which the same problem is known again in another version or period.
    """

    finding_id: str
    submission_id: str
    return_code: str | None
    county_code: str | None
    period: str | None
    rule_id: str
    level: str
    outcome: str
    file_name: str
    sheet: str
    cell: str
    source_row: int | None
    form_label: str
    row_label: str
    column_label: str
    value: str
    expected: str
    difference: str
    message: str
    remedy: str
    subject: str = ""


@dataclass(frozen=True)
class Place:
    """Where a finding stands, as the file and its definition name it.

    `extent`: the range, where more cells than `cell` break the rule in the same way; `is_example`: they hold other texts, and the value of
    `cell` is quoted as one of them. `unseen`: what keeps Excel from showing the place.
    """

    submission_id: str
    file_name: str
    return_code: str | None = None
    county_code: str | None = None
    period: str | None = None
    form_label: str = ""
    sheet: str = ""
    cell: str = ""
    source_row: int | None = None
    row_label: str = ""
    column_label: str = ""
    subject: str = ""
    extent: str = ""
    is_example: bool = False
    unseen: str = ""


class _Words(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def make_finding(
    rule: Rule,
    place: Place,
    *,
    value: str = "",
    expected: str = "",
    difference: str = "",
    detail: str = "",
    problem: str = "",
) -> Finding:
    """Word a broken rule. The id depends on the place and the rule alone, so the same fault has the same id in every run."""
    like = "如" if place.is_example else ""
    message = rule.message.replace("“{value}”", f"{like}“{{value}}”")
    value, detail, row_label = shown(value), shown(detail), shown(place.row_label)
    expected = unturned(expected)
    words = _Words(
        value=value,
        # A cell that holds nothing is not quoted.
        stated=f"填的{like or '是'}“{value}”，" if value else "",
        expected=expected,
        difference=difference,
        detail=detail,
        problem=problem,
        cell=place.cell,
        column=place.column_label,
        row=str(place.source_row or ""),
    )
    identity = "\x1f".join(
        [
            place.submission_id,
            place.return_code or "",
            place.county_code or "",
            place.period or "",
            rule.rule_id,
            place.sheet,
            place.cell,
            str(place.source_row or ""),
            place.column_label,
            detail,
            *([place.unseen] if place.unseen else []),
        ]
    )
    return Finding(
        finding_id=hashlib.sha256(identity.encode()).hexdigest()[:20],
        submission_id=place.submission_id,
        return_code=place.return_code,
        county_code=place.county_code,
        period=place.period,
        rule_id=rule.rule_id,
        level=rule.level,
        outcome=rule.outcome,
        file_name=place.file_name,
        sheet=place.sheet,
        cell=place.cell,
        source_row=place.source_row,
        form_label=place.form_label,
        row_label=row_label,
        column_label=place.column_label,
        value=value,
        expected=expected,
        difference=difference,
        message=message.format_map(words) + "".join(f"{more}。" for more in (place.extent, place.unseen) if more),
        remedy=rule.remedy.format_map(words),
        subject=shown(place.subject),
    )


def shown(text: str) -> str:
    """A county's text as a finding may repeat it: long numbers masked, what cannot be seen and excess length gone."""
    plain = "".join(character if character.isprintable() else " " for character in visible(text))
    masked = _DIGITS.sub(lambda match: mask(match[0]), mask_personal(plain))
    return masked if len(masked) <= _MAX_TEXT else masked[: _MAX_TEXT - 1] + "…"


def plain_number(scaled: int | None, places: int) -> str:
    """A scaled integer as a plain decimal: (123450, 2) → 1234.5."""
    if scaled is None:
        return ""
    return str(scaled) if places == 0 else decimal_text(Decimal(scaled).scaleb(-places))


def signed(scaled: int, places: int) -> str:
    """A difference with its sign: +12, -3.5."""
    return ("+" if scaled > 0 else "") + plain_number(scaled, places)


def decimal_text(value: Decimal) -> str:
    """A decimal without idle zeros: 1234.5000 → 1234.5, 120.0000 → 120."""
    return format(value.normalize() if value != value.to_integral_value() else value.quantize(Decimal(1)), "f")


def signed_text(value: Decimal) -> str:
    """A difference with its sign, as `decimal_text`."""
    return ("+" if value > 0 else "") + decimal_text(value)
