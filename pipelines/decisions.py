"""The bureau's decisions on filings: accept, return, lock, unlock, waive, revoke; an append-only log under `raw/`.

    raw/decisions/000001.json     one decision a file, each holding the SHA-256 of the one before it

Belongs here: the log, what a set of decisions means for a filing at a moment, and which decisions are allowed. Nobody but the
county changes a number: a decision moves a version into or out of force, or closes a finding, and says who and why. The log
cannot be recomputed, so it lies in `raw/`; whatever follows from it (verdicts, boards) is computed again from it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from pipelines.files import replace_file

Action = Literal["accept", "return", "lock", "unlock", "waive", "revoke"]
ACTIONS: tuple[Action, ...] = get_args(Action)
ACTION_LABELS: dict[Action, str] = {
    "accept": "审定",
    "return": "退回",
    "lock": "锁定",
    "unlock": "解锁",
    "waive": "豁免",
    "revoke": "撤销",
}


class DecisionLogDamaged(RuntimeError):
    """A decision was altered, removed or put in between: the log no longer proves anything, and must be restored."""


class DecisionRefused(ValueError):
    """The decision cannot be taken as it was asked for; the message says what to change (Chinese)."""


@dataclass(frozen=True)
class Decision:
    """One decision. `at`: UTC without zone. A return, county or period of None means every one of them.

    `until`: the last day (Beijing) on which an unlock lets new versions in, or on which a file may arrive whose finding a waiver
    closes. `revokes`: the number of the decision that a revocation takes back.
    """

    number: int
    at: datetime
    by: str
    action: Action
    reason: str
    return_code: str | None = None
    county_code: str | None = None
    period: str | None = None
    rule_id: str | None = None
    submission_id: str | None = None
    until: date | None = None
    revokes: int | None = None

    def concerns(self, return_code: str | None, county_code: str | None, period: str | None) -> bool:
        """Whether the filing lies in the decision's scope."""
        scope = ((self.return_code, return_code), (self.county_code, county_code), (self.period, period))
        return all(wanted is None or wanted == actual for wanted, actual in scope)


class DecisionLog:
    """The log under one `raw/` folder."""

    def __init__(self, raw: Path) -> None:
        self.folder = raw / "decisions"

    def __iter__(self) -> Iterator[Decision]:
        """Every decision in order. Raises DecisionLogDamaged when the chain is broken."""
        before = ""
        for number, path in enumerate(self._paths(), start=1):
            content = path.read_bytes()
            try:
                entry = json.loads(content)
                held = entry.pop("previous")
                decision = _from_json(entry)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DecisionLogDamaged(f"{path}: {error}") from None
            if held != before or decision.number != number or path.name != f"{number:06d}.json":
                raise DecisionLogDamaged(f"{path}: does not follow the decision before it")
            before = hashlib.sha256(content).hexdigest()
            yield decision

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))

    def append(
        self,
        action: Action,
        *,
        by: str,
        reason: str,
        now: datetime,
        return_code: str | None = None,
        county_code: str | None = None,
        period: str | None = None,
        rule_id: str | None = None,
        submission_id: str | None = None,
        until: date | None = None,
        revokes: int | None = None,
    ) -> Decision:
        """Write down a decision. Raises DecisionRefused when it is incomplete, DecisionLogDamaged when the log is not whole."""
        import fcntl  # not on Windows, where counties check their files

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two officers may decide at once
            known = list(self)
            # The log's order is the order of its times, even where the clock was set back.
            at = max([now.astimezone(UTC).replace(tzinfo=None), *(decision.at for decision in known[-1:])])
            decision = Decision(
                len(known) + 1, at, by.strip(), action, reason.strip(), return_code, county_code, period, rule_id,
                submission_id, until, revokes,
            )  # fmt: skip
            _refuse_incomplete(decision, known)
            last = self._paths()[-1:]
            previous = hashlib.sha256(last[0].read_bytes()).hexdigest() if last else ""
            content = {**asdict(decision), "at": at.isoformat(), "until": until.isoformat() if until else None}
            text = json.dumps({**content, "previous": previous}, ensure_ascii=False, indent=1) + "\n"
            replace_file(self.folder / f"{decision.number:06d}.json", text.encode())
        return decision


def _from_json(entry: dict[str, object]) -> Decision:
    at, until = entry.pop("at"), entry.pop("until")
    if entry.get("action") not in ACTIONS:
        raise ValueError(f"unknown action {entry.get('action')}")
    return Decision(
        at=datetime.fromisoformat(str(at)),
        until=date.fromisoformat(str(until)) if until else None,
        **entry,  # type: ignore[arg-type]
    )


def _refuse_incomplete(decision: Decision, known: Sequence[Decision]) -> None:
    if not decision.by:
        raise DecisionRefused("请写明由谁决定（--by）。")
    if not decision.reason:
        raise DecisionRefused("请写明理由（--reason）。")
    if decision.action in ("accept", "return") and not decision.submission_id:
        raise DecisionRefused("审定或退回须指明一个版本。")
    if decision.action == "lock" and not decision.period:
        raise DecisionRefused("锁定须指明报告期。")
    if decision.action in ("unlock", "waive") and decision.until is None:
        raise DecisionRefused("解锁和豁免须写明到哪一天为止（--until）。")
    if decision.until is not None and decision.until < beijing_day(decision.at):
        raise DecisionRefused(f"截止日 {decision.until} 已经过去。")
    if decision.action == "waive" and not decision.rule_id:
        raise DecisionRefused("豁免须指明一条规则（--rule）。")
    if decision.action == "unlock" and lock_at(known, decision.return_code, decision.county_code, decision.period,
                                               decision.at, partly=True) is None:  # fmt: skip
        raise DecisionRefused("该范围没有锁定，无须解锁。")
    if decision.action == "revoke":
        target = next((other for other in known if other.number == decision.revokes), None)
        if target is None or target.action == "revoke":
            raise DecisionRefused(f"没有可撤销的第 {decision.revokes} 号决定。")
        if any(other.revokes == decision.revokes for other in known):
            raise DecisionRefused(f"第 {decision.revokes} 号决定已经撤销。")


def beijing_day(moment: datetime) -> date:
    """The day in Beijing (UTC+8, no summer time) of a UTC time without zone."""
    return (moment + timedelta(hours=8)).date()


def revoked_at(decisions: Iterable[Decision]) -> dict[int, datetime]:
    """Number of a decision taken back → when."""
    return {decision.revokes: decision.at for decision in decisions if decision.revokes is not None}


def lock_at(
    decisions: Sequence[Decision],
    return_code: str | None,
    county_code: str | None,
    period: str | None,
    moment: datetime,
    *,
    partly: bool = False,
) -> Decision | None:
    """The lock that keeps new versions of a filing out at a moment (UTC without zone), None when nothing does.

    The newest lock counts until an unlock after it, and again once that unlock has run out. `partly`: a lock that shares any
    filing with the given scope (None: every one) counts too.
    """
    standing = _standing(decisions, moment)

    def touches(decision: Decision) -> bool:
        if not partly:
            return decision.concerns(return_code, county_code, period)
        pairs = ((decision.return_code, return_code), (decision.county_code, county_code), (decision.period, period))
        return all(one is None or other is None or one == other for one, other in pairs)

    locks = [decision for decision in standing if decision.action == "lock" and touches(decision)]
    if not locks or partly:
        return locks[-1] if locks else None
    opened = any(
        decision.action == "unlock"
        and decision.number > locks[-1].number
        and decision.until is not None
        and decision.until >= beijing_day(moment)
        and touches(decision)
        for decision in standing
    )
    return None if opened else locks[-1]


def _standing(decisions: Sequence[Decision], moment: datetime | None) -> list[Decision]:
    """The decisions taken by a moment (None: all) and not taken back by then."""
    known = [decision for decision in decisions if moment is None or decision.at <= moment]
    gone = revoked_at(known)
    return [decision for decision in known if decision.number not in gone]


def waivers(
    decisions: Sequence[Decision],
    return_code: str | None,
    county_code: str | None,
    period: str | None,
    received_at: datetime | None,
) -> dict[str, Decision]:
    """Rule id → the waiver that closes its findings in a file received at that time (UTC without zone), whenever it was granted."""
    if received_at is None:
        return {}
    return {
        decision.rule_id: decision
        for decision in _standing(decisions, None)
        if decision.action == "waive"
        and decision.rule_id is not None
        and decision.concerns(return_code, county_code, period)
        and (decision.until is None or beijing_day(received_at) <= decision.until)
    }
