"""The same marts whatever order the files came in, and however often."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.home import Home
from pipelines.releases.publish import publish
from pipelines.warehouse.build_database import remove_build
from pipelines.warehouse.landing import build_marts, land_new
from tests.homes import collect_all, deliver, marts_content, small_home

COUNTIES = [("140926", "静乐县", "Jingle"), ("140925", "宁武县", "Ningwu")]
RETURNS = ("school", "enrolment", "population")


@dataclass(frozen=True)
class Event:
    """One file put into one inbox at one time."""

    county_code: str
    file: Path
    name: str
    modified: float


@pytest.fixture(scope="module")
def events(published_home: Path, faulty_home: Path) -> list[Event]:
    """Good and faulty versions of two counties' filings of two years, a file put into the wrong inbox, and copies."""
    found: list[Event] = []
    for home in (published_home, faulty_home):
        for county_code, *_ in COUNTIES:
            for file in sorted((home / "counties" / county_code).iterdir()):
                wanted = ("学校名录", "在校", "学龄人口", "XB01", "XB02", "XB03")
                years = ("2023-2024", "2024-2025", "2023年", "2024年", "2023", "2024")
                if any(word in file.name for word in wanted) and any(year in file.name for year in years):
                    later = 86_400.0 if home == faulty_home else 0.0
                    found.append(Event(county_code, file, f"{home.name}-{file.name}", file.stat().st_mtime + later))
    astray = next(event for event in found if event.county_code == "140926")
    found.append(Event("140925", astray.file, "投错信箱.xlsx", astray.modified - 60))
    copy = next(event for event in found if event.county_code == "140925")
    found.append(Event("140925", copy.file, f"再报一次{copy.file.suffix}", copy.modified + 3600))
    assert len(found) > 12
    return found


def _play(home: Home, batches: list[list[Event]]) -> dict[str, str]:
    """Deliver the events batch by batch, updating after each, and return what was published at the end."""
    for batch in batches:
        for event in batch:
            deliver(home, event.county_code, event.file, name=event.name, modified=event.modified)
        collect_all(home)
        with home.writing():
            land_new(home)
    with home.writing():
        build_marts(home)
        publish(home)
    return marts_content(home)


@pytest.fixture(scope="module")
def in_order(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = small_home(tmp_path_factory.mktemp("in_order"), COUNTIES)
    return _play(home, [sorted(events, key=lambda event: event.modified)])


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_shuffled_split_and_repeated_events_give_the_same_marts(
    data: st.DataObject,
    events: list[Event],
    in_order: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
):
    shuffled = data.draw(st.permutations(events))
    repeated = shuffled + data.draw(st.lists(st.sampled_from(events), max_size=4))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(repeated) - 1), max_size=3)))
    batches = [repeated[start:end] for start, end in zip([0, *cuts], [*cuts, len(repeated)], strict=True)]
    folder = tmp_path_factory.mktemp("shuffled")
    assert _play(small_home(folder, COUNTIES), batches) == in_order
    shutil.rmtree(folder)


@pytest.mark.long
def test_raw_alone_rebuilds_the_same_marts(
    events: list[Event], in_order: dict[str, str], tmp_path_factory: pytest.TempPathFactory
):
    home = small_home(tmp_path_factory.mktemp("rebuilt"), COUNTIES)
    half = len(events) // 2
    assert _play(home, [events[half:], events[:half]]) == in_order
    shutil.rmtree(home.root / "counties")
    shutil.rmtree(home.warehouse)
    with home.writing():
        remove_build(home)
        land_new(home)
        build_marts(home)
        publish(home)
    assert marts_content(home) == in_order
