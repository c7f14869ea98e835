"""Seeing news in the counties' sources: what has changed since it was last asked for.

Belongs here: comparing listings, and nothing of Dagster. The cursor holds a digest of each listing, never a time: a file that
arrives with an old date is news like any other, and a clock that jumps changes nothing. A pull that did not come to its end is
news too, as often as it comes further: beside the digest stands how far it came.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pipelines.home import Home
from pipelines.intake.collect import SourceFile, list_source, listing_digest, unfinished
from pipelines.intake.parallel import in_parallel
from pipelines.municipality import County

#: A source that has not answered by then is left for the next look; the others are not kept waiting.
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class News:
    """What has changed: county codes in the order of the configuration, a key of that state, and the next cursor."""

    counties: tuple[str, ...]
    run_key: str
    cursor: str
    problems: dict[str, str]


def look_for_news(
    home: Home,
    cursor: str | None,
    *,
    pause: Callable[[float], None] = time.sleep,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> News:
    """Compare every county's listing with the cursor. A file that is still growing is not news yet.

    Never raises for a source: one that cannot be listed is in `problems`, and its part of the cursor stays.
    """
    known: dict[str, str] = json.loads(cursor) if cursor else {}
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
        for county in changed:
            before = {file.path: file.stamp for file in listings[county.code]}
            listings[county.code] = [file for file in again.get(county.code, []) if before.get(file.path) == file.stamp]
        # A source that did not answer the second time is left as it was, for the next look.
        changed = [county for county in changed if county.code in again and is_news(county)]
    # An empty inbox that was never seen holds nothing to collect.
    news = [county for county in changed if listings[county.code] or county.code in known]
    states = {
        county.code: "+".join(filter(None, (_digest(listings, county), halves[county.code]))) for county in changed
    }
    # What was known before is part of the key: a folder that returns to an earlier state is news again.
    state = json.dumps([(county.code, known.get(county.code), states[county.code]) for county in news])
    return News(
        counties=tuple(county.code for county in news),
        run_key=hashlib.sha256(state.encode()).hexdigest()[:24],
        cursor=json.dumps(known | states, sort_keys=True),
        problems=problems,
    )


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
        else:
            problems[code] = f"{type(answer).__name__}: {answer}"[:300]
    return listings, problems


def _list_county(home: Home, county: County) -> list[SourceFile]:
    return list_source(home.municipality.source_uri(county, home.root), county.host_keys)
