"""Seeing news in the counties' sources: what has changed since it was last asked for, and what no run has taken up.

Belongs here: comparing listings with the cursor and with `raw/`, and nothing of Dagster. The cursor holds a digest of each listing: a
file that arrives with an old date is news like any other, and a clock that jumps changes nothing. It is a shortcut: what `raw/` does not
hold, and what a run that failed was asked for, stays news, with growing pauses. A pull that did not come to its end is news too, as
often as it comes further: beside the digest stands how far it came.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipelines.home import Home
from pipelines.intake.collect import NotThere, SourceFile, list_source, listing_digest, not_taken, unfinished
from pipelines.intake.connections import what_failed
from pipelines.intake.parallel import in_parallel
from pipelines.municipality import County

#: A source that has not answered by then is left for the next look; the others are not kept waiting.
_PATIENCE_SECONDS = 20.0

#: Pauses before what no run has taken up is asked for once more: the first, doubled each time, up to the last.
_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 15.0, 3600.0

#: Beside the counties in the cursor: how often was asked again, when last, under which configuration.
_RETRY = "#retry"


@dataclass(frozen=True)
class Failure:
    """The last run, where it failed: what it was asked for (None: everybody), when it ended (seconds since 1970), and why."""

    counties: frozenset[str] | None
    ended_at: float
    words: str


@dataclass(frozen=True)
class News:
    """What is to be collected: county codes in the order of the configuration, a key of that state, and the next cursor. `waiting`: in
    Chinese words what is asked for again later, blank when nothing is."""

    counties: tuple[str, ...]
    run_key: str
    cursor: str
    problems: dict[str, str]
    waiting: str = ""


def look_for_news(
    home: Home,
    cursor: str | None,
    *,
    failure: Failure | None = None,
    pause: Callable[[float], None] = time.sleep,
    patience_seconds: float = _PATIENCE_SECONDS,
    now: Callable[[], float] = time.time,
) -> News:
    """Compare every county's listing with the cursor and with what was taken up. A file that is still growing is not news yet.

    Never raises for a source: one that cannot be listed is in `problems`, and its part of the cursor stays.
    """
    known: dict[str, Any] = json.loads(cursor) if cursor else {}
    retry: dict[str, Any] | None = known.pop(_RETRY, None)
    counties = home.municipality.counties
    listings, problems = _list(home, counties, patience_seconds)
    halves = {county.code: unfinished(home, county) for county in counties}

    def is_news(county: County) -> bool:
        digest, _, half = known.get(county.code, "").partition("+")
        return _digest(listings, county) != digest or halves[county.code] not in ("", half)

    changed = [county for county in counties if county.code in listings and is_news(county)]
    if changed:
        pause(home.municipality.limits.settle_seconds)
        again, _ = _list(home, changed, patience_seconds)
        for code, listing in again.items():
            before = {file.path: file.stamp for file in listings[code]}
            listings[code] = [file for file in listing if before.get(file.path) == file.stamp]
        # A source that did not answer the second time is left as it was, for the next look.
        changed = [county for county in changed if county.code in again and is_news(county)]
    # An empty inbox that was never seen holds nothing to collect.
    news = [county for county in changed if listings[county.code] or county.code in known]
    states = {
        county.code: "+".join(filter(None, (_digest(listings, county), halves[county.code]))) for county in changed
    }
    pending = [county for county in counties if county not in news and _is_pending(home, county, listings, failure)]
    waiting = ""
    configuration = hashlib.sha256(home.configuration.read_bytes()).hexdigest()[:16]
    if news:
        retry = {"tries": 0, "at": now(), "configuration": configuration}
        asked = [county for county in counties if county in news or county in pending]
    elif pending:
        retry = retry or {"tries": 0, "at": now(), "configuration": configuration}
        left = _pause_left(retry, failure, configuration, now())
        asked = pending if left <= 0 else []
        if asked:
            retry = {"tries": retry["tries"] + 1, "at": now(), "configuration": configuration}
        else:
            names = "、".join(county.name for county in pending)
            waiting = f"{names}的文件还没有处理完，{left:.0f} 秒后再试"
    else:
        retry, asked = None, []
    # What was known before is part of the key: a folder that returns to an earlier state is news again.
    state = json.dumps(
        [
            *((county.code, known.get(county.code), states.get(county.code)) for county in asked),
            retry if not news else None,
        ]
    )
    return News(
        counties=tuple(county.code for county in asked),
        run_key=hashlib.sha256(state.encode()).hexdigest()[:24],
        cursor=json.dumps(known | states | ({_RETRY: retry} if retry else {}), sort_keys=True),
        problems=problems,
        waiting=waiting,
    )


def _is_pending(home: Home, county: County, listings: dict[str, list[SourceFile]], failure: Failure | None) -> bool:
    if failure is not None and (failure.counties is None or county.code in failure.counties):
        return True
    files = [(file.place, file.stamp) for file in listings.get(county.code, [])]
    return bool(files) and not_taken(home, county, files) > 0


def _pause_left(retry: dict[str, Any], failure: Failure | None, configuration: str, now: float) -> float:
    """Seconds until it is asked again; none when the configuration has been changed, which is how most failures are mended."""
    if retry.get("configuration") != configuration or now < retry["at"]:
        return 0.0
    since = max(retry["at"], min(failure.ended_at, now) if failure else 0.0)
    return float(since + min(_FIRST_PAUSE_SECONDS * 2 ** min(retry["tries"], 20), _LAST_PAUSE_SECONDS) - now)


def _digest(listings: dict[str, list[SourceFile]], county: County) -> str:
    return listing_digest(listings[county.code])


def _list(
    home: Home, counties: list[County] | tuple[County, ...], patience_seconds: float
) -> tuple[dict[str, list[SourceFile]], dict[str, str]]:
    listings: dict[str, list[SourceFile]] = {}
    problems: dict[str, str] = {}
    answers = in_parallel({county.code: partial(_list_county, home, county) for county in counties}, patience_seconds)
    for code, answer in answers.items():
        if isinstance(answer, list):
            listings[code] = answer
        elif answer is None:
            problems[code] = f"no answer in {patience_seconds:g} s"
        elif isinstance(answer, NotThere):
            problems[code] = "the source is not there"
        else:
            problems[code] = what_failed(answer, "")
    return listings, problems


def _list_county(home: Home, county: County) -> list[SourceFile]:
    return list_source(home.municipality.source_uri(county, home.root), county.host_keys)
