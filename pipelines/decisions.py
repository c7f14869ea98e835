"""The bureau's decisions on filings: accept, return, lock, unlock, waive, revoke; an append-only log under `raw/`.

    raw/decisions/000001.json     one decision a file, each holding the SHA-256 of the one before it
    raw/decisions/head.json       {"count", "sha256"}: how many there are, and the SHA-256 of the last

Whoever rewrites the log can compute the chain anew. But every release has written down the decisions that it rests on, as their
number and the SHA-256 of the last: a log that does not hold those is refused.

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
from pipelines.times import beijing_day, beijing_minute

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


#: How far the clock may lie behind the last decision; further back, one of the two times is wrong.
CLOCK_TOLERANCE = timedelta(minutes=10)


class DecisionLogDamaged(RuntimeError):
    """A decision was altered, removed or put in between: the log no longer proves anything, and must be restored (Chinese)."""


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
        """Every decision in order. Raises DecisionLogDamaged when the chain is broken or its end is missing."""
        return iter([decision for decision, _ in self._entries()])

    def head(self, first: int | None = None) -> tuple[int, str]:
        """Number and SHA-256 of the last decision; with `first`, of the last among the first so many. None yet: (0, "").

        The two stand for every decision up to that one, in order. Raises DecisionLogDamaged.
        """
        hashes = [sha256 for _, sha256 in self._entries()][:first]
        return (len(hashes), hashes[-1]) if hashes else (0, "")

    def _entries(self) -> list[tuple[Decision, str]]:
        """Every decision with the SHA-256 of its file, the chain and its head compared."""
        promised_n, promised = self._written_head()
        entries: list[tuple[Decision, str]] = []
        for number, path in enumerate(sorted(self.folder.glob("[0-9]*.json")), start=1):
            content = path.read_bytes()
            try:
                entry = json.loads(content)
                held = entry.pop("previous")
                decision = _from_json(entry)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DecisionLogDamaged(f"{path}：这条决定读不出来（{error}）。{_RESTORE}") from None
            try:
                _refuse_incomplete(decision, [known for known, _ in entries])
            except DecisionRefused as refused:
                raise DecisionLogDamaged(f"{path}：这不是一条能作出的决定（{refused}）。{_RESTORE}") from None
            if entries and decision.at < entries[-1][0].at:
                raise DecisionLogDamaged(f"{path}：这条决定早于前一条，有决定被改动或插入。{_RESTORE}")
            before = entries[-1][1] if entries else ""
            if held != before or decision.number != number or path.name != f"{number:06d}.json":
                raise DecisionLogDamaged(f"{path}：与前一条决定接不上，有决定被改动、删去或插入。{_RESTORE}")
            entries.append((decision, hashlib.sha256(content).hexdigest()))
        if len(entries) < promised_n:
            missing = range(len(entries) + 1, promised_n + 1)
            which = f"第 {missing[0]} 号" if len(missing) == 1 else f"第 {missing[0]} 至 {missing[-1]} 号"
            raise DecisionLogDamaged(
                f"{self.folder}：应有 {promised_n} 条决定，缺最后 {len(missing)} 条（{which}）。{_RESTORE}"
            )
        if promised_n and entries[promised_n - 1][1] != promised:
            raise DecisionLogDamaged(f"{self.folder}：第 {promised_n} 号决定与 head.json 所记不符。{_RESTORE}")
        # An entry is written before the head: one more is a crash, or an officer deciding now; the head is read again for
        # those who decided since.
        if len(entries) > promised_n + 1 and len(entries) > self._written_head()[0] + 1:
            raise DecisionLogDamaged(
                f"{self.folder}：有 {len(entries)} 条决定，head.json 只记到第 {promised_n} 号。{_RESTORE}"
            )
        if rests_on := self._released():
            _prove([sha256 for _, sha256 in entries], *rests_on)
        return entries

    def _released(self) -> tuple[int, str, str] | None:
        """How many decisions the newest release rests on, the SHA-256 of the last, and what the release is called; None before the
        first. A manifest that cannot be read is passed over: whoever needs it says so."""
        for path in sorted((self.folder.parent / "releases").glob("[0-9]*.json"), reverse=True):
            try:
                manifest = json.loads(path.read_bytes())
                inputs = manifest["inputs"]
                return int(inputs["decisions_n"]), str(inputs["decisions_sha256"]), str(manifest["release_id"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def prove(self, count: int, sha256: str, release: str) -> None:
        """Hold the log against what a release rests on. Raises DecisionLogDamaged."""
        _prove([held for _, held in self._entries()], count, sha256, release)

    def copy(self, raw: Path, first: int, until: datetime | None) -> None:
        """Copy the first so many decisions, as far as they were taken by a moment (UTC without zone; None: all), to another `raw/`.

        Raises DecisionLogDamaged.
        """
        target = DecisionLog(raw)
        last = 0, ""
        for decision, sha256 in self._entries()[:first]:
            if until is not None and decision.at > until:
                break  # the log is in the order of its times
            name = f"{decision.number:06d}.json"
            replace_file(target.folder / name, (self.folder / name).read_bytes())
            last = decision.number, sha256
        if last[0]:
            target._write_head(*last)

    def _written_head(self) -> tuple[int, str]:
        path = self.folder / _HEAD
        try:
            entry = json.loads(path.read_bytes())
            if type(entry["count"]) is not int or entry["count"] < 0:
                raise ValueError("count is no number")
            return entry["count"], str(entry["sha256"])
        except FileNotFoundError:
            return 0, ""
        except (ValueError, KeyError, TypeError) as error:
            raise DecisionLogDamaged(f"{path}：读不出来（{error}）。{_RESTORE}") from None

    def _write_head(self, count: int, sha256: str) -> None:
        replace_file(self.folder / _HEAD, (json.dumps({"count": count, "sha256": sha256}) + "\n").encode())

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
            entries = self._entries()
            known = [decision for decision, _ in entries]
            previous = entries[-1][1] if entries else ""
            if self._written_head()[0] < len(entries):
                self._write_head(len(entries), previous)
            at = _time_of_next(known, now.astimezone(UTC).replace(tzinfo=None))
            decision = Decision(
                len(known) + 1, at, by.strip(), action, reason.strip(), return_code, county_code, period, rule_id,
                submission_id, until, revokes,
            )  # fmt: skip
            _refuse_incomplete(decision, known)
            content = {**asdict(decision), "at": at.isoformat(), "until": until.isoformat() if until else None}
            text = json.dumps({**content, "previous": previous}, ensure_ascii=False, indent=1) + "\n"
            replace_file(self.folder / f"{decision.number:06d}.json", text.encode())
            self._write_head(decision.number, hashlib.sha256(text.encode()).hexdigest())
        return decision


_HEAD = "head.json"
_RESTORE = "决定记录不能重算，请从备份恢复整个 raw/ 后再运行。"


def _prove(hashes: Sequence[str], count: int, sha256: str, release: str) -> None:
    """Raises DecisionLogDamaged when the log, as the SHA-256 of its entries, does not hold the first so many decisions up to a hash."""
    if len(hashes) < count:
        raise DecisionLogDamaged(
            f"发布 {release} 依据的是 {count} 条决定，raw/decisions/ 里只有 {len(hashes)} 条，有决定被删去。{_RESTORE}"
        )
    if count and hashes[count - 1] != sha256:
        raise DecisionLogDamaged(
            f"发布 {release} 依据的前 {count} 条决定与 raw/decisions/ 里的不同，有决定被改写或伪造。{_RESTORE}"
        )


def _time_of_next(known: Sequence[Decision], now: datetime) -> datetime:
    """The log's order is the order of its times: a clock a little behind is moved along, one far behind is refused."""
    if not known:
        return now
    if now < known[-1].at - CLOCK_TOLERANCE:
        raise DecisionRefused(
            f"系统时钟早于上一条决定：现在 {beijing_minute(now)}，第 {known[-1].number} 号决定 {beijing_minute(known[-1].at)}（北京时间）。"
            "请先校准系统时钟，再作决定。"
        )
    return max(now, known[-1].at)


def _from_json(entry: dict[str, object]) -> Decision:
    at, until = entry.pop("at"), entry.pop("until")
    if entry.get("action") not in ACTIONS:
        raise ValueError(f"unknown action {entry.get('action')}")
    for name, value in entry.items():
        wanted = int if name in ("number", "revokes") else str
        if type(value) is not wanted and (value is not None or name in ("number", "by", "reason")):
            raise ValueError(f"{name} is no {wanted.__name__}")
    moment = datetime.fromisoformat(str(at))
    if moment.tzinfo is not None:
        raise ValueError("at has a zone")
    return Decision(
        at=moment,
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

    The newest lock counts until an unlock after it, and again once that unlock has run out. A lock taken back was a mistake, and
    counts for no moment, nor for one before it was taken back; an unlock taken back stays good for what came in under it.
    `partly`: a lock that shares any filing with the given scope (None: every one) counts too.
    """
    standing = _standing(decisions, moment)
    mistaken = revoked_at(decisions)

    def touches(decision: Decision) -> bool:
        if not partly:
            return decision.concerns(return_code, county_code, period)
        pairs = ((decision.return_code, return_code), (decision.county_code, county_code), (decision.period, period))
        return all(one is None or other is None or one == other for one, other in pairs)

    locks = [
        decision
        for decision in standing
        if decision.action == "lock" and decision.number not in mistaken and touches(decision)
    ]
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


def ruling_on(decisions: Sequence[Decision], submission_id: str, slot: tuple[str, str, str]) -> Decision | None:
    """The last word on a version of a filing (return, county, period), accept or return; None when there is none that stands."""
    said = [
        decision
        for decision in _standing(decisions, None)
        if decision.action in ("accept", "return")
        and decision.submission_id == submission_id
        and (decision.return_code, decision.county_code, decision.period) == slot
    ]
    return said[-1] if said else None
