"""What the index of a county's outbox says: its receipts by return and period, newest first, and what is left to do.

Belongs here: putting the receipts of one county in order. It adds no judgement of its own: every word on a file is its receipt's. So the
index is a function of what has landed and been decided, and of the calendar; it knows no clock, and tells when a return is due, not
that it is late.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipelines.answers.page import TONES
from pipelines.periods import parse_period
from pipelines.screening.rules import form_label


@dataclass(frozen=True)
class Answer:
    """An answer as it stands in the outbox: the receipt's data and the names of its files."""

    content: Mapping[str, Any]
    file_names: Sequence[str]

    @property
    def links(self) -> dict[str, str]:
        """The receipt's page and the annotated workbook, by their names in the outbox."""
        page = next((name for name in self.file_names if name.endswith(".html")), "")
        return {"page": page, "annotated": self.content["annotated_file"] or ""}

    @property
    def received_at(self) -> tuple[str, str]:
        """What answers are put in order by."""
        return (str(self.content["received_at"]), str(self.content["submission_id"]))


@dataclass(frozen=True)
class Due:
    """A filing that the calendar asks of the county."""

    return_code: str
    period: str
    period_label: str
    due_on: date


def index_content(
    county_code: str, county_name: str, city_name: str, answers: Iterable[Answer], due: Iterable[Due]
) -> dict[str, Any]:
    """What `answers.index_page` shows. `answers`: those of the county; `due`: what is expected of it."""
    slots: dict[tuple[str, str], list[tuple[Answer, Mapping[str, Any]]]] = {}
    others: list[Answer] = []
    for answer in sorted(answers, key=lambda one: one.received_at, reverse=True):
        filings = [one for one in answer.content["filings"] if one["period"] and one["county_code"] == county_code]
        for filing in filings:
            slots.setdefault((filing["return_code"], filing["period"]), []).append((answer, filing))
        if not filings:
            others.append(answer)
    filed = [_slot(held) for _, held in sorted(slots.items(), key=lambda slot: _order(*slot[0]))]
    by_form: dict[str, list[dict[str, Any]]] = {}
    for one in filed:
        by_form.setdefault(one["form_label"], []).append(one)
    missing = [one for one in due if (one.return_code, one.period) not in slots]
    return {
        "county_code": county_code,
        "county_name": county_name,
        "city_name": city_name,
        "to_do": [one["to_do"] for one in filed if one["to_do"]],
        "missing": [
            {
                "form_label": form_label(one.return_code),
                "period_label": one.period_label,
                "due_on": one.due_on.isoformat(),
            }
            for one in sorted(missing, key=lambda one: (one.due_on, form_label(one.return_code), one.period))
        ],
        "returns": [{"form_label": label, "filings": filings} for label, filings in sorted(by_form.items())],
        "others": [_other(one) for one in others],
    }


def _order(return_code: str, period: str) -> tuple[str, int, str]:
    """By return, the newest period first."""
    return (form_label(return_code), -parse_period(period).start.toordinal(), period)


def _slot(held: Sequence[tuple[Answer, Mapping[str, Any]]]) -> dict[str, Any]:
    """One return and period: the newest version speaks for it; replies are listed beside the versions."""
    versions = [pair for pair in held if not pair[1]["is_reply"]]
    answer, current = max(versions or held, key=lambda pair: (pair[1]["version_n"] or 0, pair[0].received_at))
    in_force = current["in_force"]
    shown = {"form_label": current["form_label"], "period_label": current["period_label"]} | _look(current)
    return shown | {
        "due_on": current["due_on"],
        "in_force": f"第 {in_force['version_n']} 版　{in_force['file_name']}" if in_force else "",
        "to_do": shown | {"step": current["next_step"]} | answer.links if current["is_open"] else None,
        "versions": [
            {
                "what": "核实说明" if filing["is_reply"] else f"第 {filing['version_n']} 版",
                "file_name": one.content["file_name"],
                "received_at": one.content["received_at"],
            }
            | _look(filing)
            | one.links
            for one, filing in held
        ],
    }


def _look(filing: Mapping[str, Any]) -> dict[str, str]:
    tone = "bad" if filing["is_returned"] else TONES[filing["verdict"]]
    return {"label": filing["verdict_label"], "tone": tone}


def _other(answer: Answer) -> dict[str, Any]:
    """A file that filled no filing: a zip, a reply that came alone, one that could not be read as a return."""
    content = answer.content
    return {
        "file_name": content["file_name"],
        "received_at": content["received_at"],
        "step": content["next_step"],
        "label": content["verdict_label"],
        "tone": "fault" if content["system_fault"] else TONES[content["verdict"]],
    } | answer.links
