"""What counties send, and what becomes of it: versions taken back, inboxes moved or gone, clocks, servers that are not what they say."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.answers.answers import write_answers
from pipelines.home import Home
from pipelines.intake.collect import Collected, collect
from pipelines.intake.raw_store import RawStore
from pipelines.intake.source_notes import all_notes
from pipelines.releases.publish import publish
from pipelines.releases.reconstruct import verify
from pipelines.releases.release import ReleaseLog
from pipelines.warehouse.build_database import open_build_database
from pipelines.warehouse.landing import build_marts, land_new
from tests.faults import Outcome, case
from tests.homes import rows, small_home
from tests.unit.builders import DINGXIANG, XINFU, Draft

CODE = XINFU.code
#: A moment at which the county's files are dated; the looks follow each other a day apart.
BEGIN = datetime(2025, 1, 6, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def home_at(folder: Path, received_at: str) -> Home:
    """A home of two counties, with their inboxes."""
    home = small_home(folder, [(CODE, "忻府区", "Xinfu"), (DINGXIANG.code, "定襄县", "Dingxiang")])
    text = home.configuration.read_text(encoding="utf-8").replace(
        "received_at: modified", f"received_at: {received_at}"
    )
    home.configuration.write_text(text, encoding="utf-8")
    for code in (CODE, DINGXIANG.code):
        (folder / "counties" / code).mkdir(parents=True)
    return Home(folder)


def population(people: int) -> bytes:
    """XB03 of 2024 with so many people of the first age and sex."""
    draft = Draft("population")
    more = people - draft.rows[0]["population_male"]
    draft.rows[0]["population_male"] += more
    draft.rows[0]["population_total"] += more
    return draft.xlsx()


def put(home: Home, place: str, content: bytes, at: datetime, *, code: str = CODE) -> Path:
    """Put a file into an inbox, as it is dated."""
    path = home.root / "counties" / code / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def look(home: Home, at: datetime) -> list[Collected]:
    """Collect from everybody at a moment."""
    return [collect(home, county, now=lambda: at) for county in home.municipality.counties]


def published(home: Home) -> None:
    """Screen, build, publish, answer."""
    with home.writing():
        land_new(home)
        build_marts(home)
        publish(home)
        write_answers(home)


def versions(home: Home) -> list[tuple[int, str, bool]]:
    """(Version, first digits of its file, whether it is in force) of the return."""
    return [
        (number, submission_id[:6], in_force)
        for number, submission_id, in_force in rows(
            home, "SELECT version_n, submission_id, is_in_force FROM marts.mart_filing_version ORDER BY version_n"
        )
    ]


def sent_n(home: Home) -> int:
    """Every sending that is kept."""
    return sum(len(entry.arrivals) for entry in RawStore(home.raw))


def _content(home: Home, *folders: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home.root).as_posix(): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def in_force(home: Home) -> str | None:
    """The file in force of the return, once everything that was collected is screened."""
    with home.writing():
        land_new(home)
        with open_build_database(home) as connection:
            found = connection.execute(
                "SELECT submission_id FROM landing.filing_in_force WHERE return_code = 'population' AND county_code = ?",
                [CODE],
            ).fetchall()
    return found[0][0] if found else None


def _told(home: Home, wanted: bytes, names: dict[str, bytes]) -> Outcome:
    standing = in_force(home)
    name = next((name for name, content in names.items() if sha256(content) == standing), standing or "nothing")
    return Outcome(f"{name} is in force", standing == sha256(wanted))


def _corrected(home: Home) -> tuple[bytes, bytes]:
    """A, and a day later B in its place."""
    a, b = population(300), population(310)
    for days, content in enumerate((a, b)):
        put(home, "人口.xlsx", content, BEGIN + days * DAY)
        look(home, BEGIN + days * DAY)
    return a, b


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- order of sending -----------------------------------------------------------------------------------------------


def _taken_back(home: Home, steps: list[tuple[str, bytes, timedelta]]) -> Outcome:
    """Put (place, content, how long after the beginning it is dated) one a day, in place of what lies there; the last is to be in
    force."""
    names = dict(zip("ABC", dict.fromkeys(content for _, content, _ in steps), strict=False))
    for number, (place, content, dated) in enumerate(steps):
        put(home, place, content, BEGIN + dated)
        look(home, BEGIN + number * DAY + timedelta(hours=5))
    return _told(home, steps[-1][1], names)


@case("40-operations", "the earlier file is sent again under its name, dated anew")
def sent_again(folder: Path) -> Outcome:
    a, b = population(300), population(310)
    return _taken_back(
        home_at(folder, "collected"), [("人口.xlsx", a, 0 * DAY), ("人口.xlsx", b, DAY), ("人口.xlsx", a, 2 * DAY)]
    )


@case("40-operations", "the same where the time of a file counts as received")
def sent_again_by_file_time(folder: Path) -> Outcome:
    a, b = population(300), population(310)
    return _taken_back(
        home_at(folder, "modified"), [("人口.xlsx", a, 0 * DAY), ("人口.xlsx", b, DAY), ("人口.xlsx", a, 2 * DAY)]
    )


@case("40-operations", "the earlier file is put back with the date it had, by either reckoning of time")
def put_back_with_its_date(folder: Path) -> Outcome:
    a, b = population(300), population(310)
    steps = [("人口.xlsx", a, 0 * DAY), ("人口.xlsx", b, DAY), ("人口.xlsx", a, 0 * DAY)]
    one = _taken_back(home_at(folder / "collected", "collected"), steps)
    other = _taken_back(home_at(folder / "modified", "modified"), steps)
    return Outcome(f"{one.words}; {other.words}", one.right and other.right)


@case("40-operations", "the earlier file is sent again after a third, from another folder and under another name")
def sent_again_after_a_third(folder: Path) -> Outcome:
    a, b, c = population(300), population(310), population(320)
    return _taken_back(
        home_at(folder, "collected"),
        [
            ("人口.xlsx", a, 0 * DAY),
            ("人口.xlsx", b, DAY),
            ("人口.xlsx", c, 2 * DAY),
            ("再报/人口（原）.xlsx", a, 0 * DAY),
        ],
    )


@case("40-operations", "the earlier file is sent again in a zip")
def sent_again_in_a_zip(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = _corrected(home)
    put(home, "重报.zip", _zip({"报表/人口.xlsx": a}), BEGIN + 2 * DAY)
    look(home, BEGIN + 2 * DAY)
    return _told(home, a, {"A": a, "B": b})


@case("40-operations", "two files lie side by side and the earlier is uploaded once more in its place")
def uploaded_once_more(folder: Path) -> Outcome:
    a, b = population(300), population(310)
    return _taken_back(
        home_at(folder, "collected"), [("甲.xlsx", a, 0 * DAY), ("乙.xlsx", b, DAY), ("甲.xlsx", a, 2 * DAY)]
    )


@case("40-operations", "the earlier file is sent again after the period was locked")
def sent_again_under_a_lock(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = _corrected(home)
    home.decisions.append("lock", by="甲", reason="已上报", now=BEGIN + 2 * DAY, period="2024")
    put(home, "人口.xlsx", a, BEGIN + 3 * DAY)
    look(home, BEGIN + 3 * DAY)
    standing = in_force(home)
    with open_build_database(home) as connection:
        kept_out = connection.execute("SELECT count(*) FROM landing.sending WHERE is_locked_out").fetchall()[0][0]
    return Outcome(f"{'B' if standing == sha256(b) else 'another'} is in force, {kept_out} sending kept out",
                   standing == sha256(b) and kept_out == 1)  # fmt: skip


@case("40-operations", "the whole inbox is uploaded once more, each file dated anew, the earlier last")
def whole_inbox_uploaded_again(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = population(300), population(310)
    put(home, "乙.xlsx", a, BEGIN)
    look(home, BEGIN)
    put(home, "甲.xlsx", b, BEGIN + DAY)
    look(home, BEGIN + DAY)
    put(home, "甲.xlsx", b, BEGIN + 2 * DAY)
    put(home, "乙.xlsx", a, BEGIN + 2 * DAY + timedelta(minutes=1))
    look(home, BEGIN + 3 * DAY)
    return _told(home, b, {"A": a, "B": b})


# --- what is no sending ---------------------------------------------------------------------------------------------


def _two_versions(home: Home) -> tuple[bytes, bytes]:
    """A replaced by B in its place, a third file beside."""
    a, b = population(300), population(310)
    put(home, "人口.xlsx", a, BEGIN)
    put(home, "在校.xlsx", Draft("enrolment").xlsx(), BEGIN)
    look(home, BEGIN)
    put(home, "更正/人口.xlsx", b, BEGIN + DAY)
    look(home, BEGIN + DAY)
    return a, b


@case("40-operations", "a home is copied with its inboxes, with and without the times of its files")
def home_copied(folder: Path) -> Outcome:
    home = home_at(folder / "old", "collected")
    _two_versions(home)
    before = _content(home, home.raw)
    differing = []
    for name, copy in (("with times", shutil.copy2), ("without times", shutil.copyfile)):
        shutil.copytree(home.root, folder / name, copy_function=copy)
        moved = Home(folder / name)
        look(moved, BEGIN + 9 * DAY)
        look(moved, BEGIN + 10 * DAY)
        differing += [name] if _content(moved, moved.raw) != before else []
    return Outcome(f"raw/ differs: {'、'.join(differing) or 'nowhere'}", not differing)


@case("40-operations", "a home is copied without its caches")
def home_copied_without_caches(folder: Path) -> Outcome:
    home = home_at(folder / "old", "collected")
    _two_versions(home)
    before = _content(home, home.raw)
    shutil.copytree(home.root, folder / "new", ignore=shutil.ignore_patterns("warehouse"))
    moved = Home(folder / "new")
    look(moved, BEGIN + 9 * DAY)
    same = _content(moved, moved.raw) == before
    return Outcome("raw/ is the same" if same else "raw/ differs", same)


@case(
    "40-operations", "a county tidies its files into a subfolder, keeping their times or not; then the caches are lost"
)
def tidied(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = _two_versions(home)
    before = _content(home, home.raw)
    inbox = home.root / "counties" / CODE
    (inbox / "2024").mkdir()
    (inbox / "人口.xlsx").rename(inbox / "2024" / "人口.xlsx")
    (inbox / "在校.xlsx").unlink()
    look(home, BEGIN + 2 * DAY)
    put(home, "2024/更正/人口（更正）.xlsx", b, BEGIN + 3 * DAY)
    (inbox / "更正/人口.xlsx").unlink()
    look(home, BEGIN + 4 * DAY)
    shutil.rmtree(home.private / "sources")
    look(home, BEGIN + 5 * DAY)
    same = _content(home, home.raw) == before
    standing = in_force(home)
    return Outcome(f"raw/ {'is the same' if same else 'differs'}, {'B' if standing == sha256(b) else 'A'} is in force",
                   same and standing == sha256(b) and standing != sha256(a))  # fmt: skip


@case("40-operations", "the earlier file is renamed to make room for its correction; then the caches are lost")
def renamed_for_its_correction(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = population(300), population(310)
    first = put(home, "人口.xlsx", a, BEGIN)
    look(home, BEGIN)
    first.rename(first.with_name("人口_旧.xlsx"))
    put(home, "人口.xlsx", b, BEGIN + DAY)
    look(home, BEGIN + DAY)
    shutil.rmtree(home.private / "sources")
    look(home, BEGIN + 2 * DAY)
    outcome = _told(home, b, {"A": a, "B": b})
    return Outcome(f"{outcome.words}, {sent_n(home)} sendings", outcome.right and sent_n(home) == 2)


# --- raw/ is the truth ----------------------------------------------------------------------------------------------


@case("40-operations", "a submission is lost from raw/ that still lies in the inbox")
def lost_from_raw(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    content = population(300)
    put(home, "人口.xlsx", content, BEGIN)
    look(home, BEGIN)
    store = RawStore(home.raw)
    lost = store.path(sha256(content))
    outcomes = []
    for what in ("bytes", "sidecar", "both"):
        if what != "sidecar":
            lost.unlink()
        if what != "bytes":
            lost.with_suffix(".json").unlink()
        look(home, BEGIN + DAY)
        entry = store.get(sha256(content))
        outcomes.append(lost.exists() and entry is not None and len(entry.arrivals) >= 1)
    return Outcome(f"collected again {sum(outcomes)} times of {len(outcomes)}", all(outcomes))


@case(
    "40-operations",
    "an earlier file lies beside its correction when its bytes, its sidecar, or both are lost from raw/",
)
def lost_beside_its_correction(folder: Path) -> Outcome:
    told: dict[str, bool] = {}
    for received_at in ("collected", "modified"):
        for is_zip in (False, True):
            for what in ("bytes", "sidecar", "both", "sidecar cut in half"):
                of_it = f"{what}, {received_at}{', in a zip' if is_zip else ''}"
                home = home_at(folder / of_it, received_at)
                earlier, correction = population(300), population(400)
                content = _zip({"人口.xlsx": earlier}) if is_zip else earlier
                put(home, "一.zip" if is_zip else "一.xlsx", content, BEGIN)
                look(home, BEGIN + timedelta(hours=1))
                put(home, "二.xlsx", correction, BEGIN + DAY)
                look(home, BEGIN + DAY + timedelta(hours=1))
                store = RawStore(home.raw)
                before = {entry.submission_id: entry for entry in store}
                lost = store.path(sha256(earlier))
                sidecar = lost.with_suffix(".json")
                if what in ("bytes", "both"):
                    lost.unlink()
                if what in ("sidecar", "both"):
                    sidecar.unlink()
                if what == "sidecar cut in half":
                    sidecar.write_bytes(sidecar.read_bytes()[:100])
                look(home, BEGIN + 2 * DAY)
                alike = {entry.submission_id: entry for entry in store} == before
                told[of_it] = alike and lost.exists() and in_force(home) == sha256(correction)
    wrong = [of_it for of_it, is_right in told.items() if not is_right]
    return Outcome(f"raw/ is as it was, the correction in force; not so: {wrong or 'never'}", not wrong)


@case("40-operations", "raw/ comes from a backup that is older than the warehouse")
def raw_from_an_older_backup(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = population(300), population(310)
    put(home, "人口.xlsx", a, BEGIN)
    look(home, BEGIN)
    in_force(home)
    shutil.copytree(home.raw, folder / "backup")
    path = put(home, "人口.xlsx", b, BEGIN + DAY)
    look(home, BEGIN + DAY)
    in_force(home)
    shutil.rmtree(home.raw)
    shutil.copytree(folder / "backup", home.raw)
    # It lies in the inbox no more: what raw/ does not hold is in force nowhere.
    path.unlink()
    put(home, "说明.txt", b"x", BEGIN)
    look(home, BEGIN + 2 * DAY)
    without = in_force(home)
    put(home, "人口.xlsx", b, BEGIN + DAY)
    look(home, BEGIN + 3 * DAY)
    with_it = in_force(home)
    return Outcome(f"{'A' if without == sha256(a) else 'what is lost'}, then {'B' if with_it == sha256(b) else 'A'} is in force",
                   without == sha256(a) and with_it == sha256(b))  # fmt: skip


# --- sources --------------------------------------------------------------------------------------------------------


def _problems(home: Home, at: datetime) -> dict[str, str]:
    return {result.code: result.problem for result in look(home, at) if result.problem}


@case("40-operations", "a county's folder is not there yet; one is gone; one is an empty mount point")
def sources_gone(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    inboxes = home.root / "counties"
    (inboxes / CODE).rmdir()
    new = _problems(home, BEGIN)
    (inboxes / CODE).mkdir()
    put(home, "人口.xlsx", population(300), BEGIN)
    fine = _problems(home, BEGIN + DAY)
    shutil.move(inboxes / CODE, folder / "elsewhere")
    gone = _problems(home, BEGIN + 2 * DAY)
    (inboxes / CODE).mkdir()
    empty = _problems(home, BEGIN + 3 * DAY)
    still = _problems(home, BEGIN + 4 * DAY)
    shutil.rmtree(home.private / "sources")
    without_cache = _problems(home, BEGIN + 5 * DAY)
    (inboxes / CODE).rmdir()
    shutil.move(folder / "elsewhere", inboxes / CODE)
    back = _problems(home, BEGIN + 6 * DAY)
    told = [words.get(CODE, "")[:6] for words in (new, gone, empty, still, without_cache)]
    notes = [(note.county_code, bool(note.problem)) for note in all_notes(home)]
    right = (
        told == ["收件夹还没有", "找不到来源：", "来源是空的：", "来源是空的：", "来源是空的："]
        and f"：counties/{CODE}（" in gone[CODE]
        and not fine
        and not back
        and sent_n(home) == 1
        and notes[-1] == (CODE, False)
    )
    return Outcome("；".join(dict.fromkeys(told)), right)


# --- clocks ---------------------------------------------------------------------------------------------------------


@case("40-operations", "the machine's clock is years behind when a correction is collected")
def clock_behind(folder: Path) -> Outcome:
    outcomes = []
    for received_at in ("collected", "modified"):
        home = home_at(folder / received_at, received_at)
        a, b, c = population(300), population(310), population(320)
        put(home, "人口.xlsx", a, BEGIN)
        look(home, BEGIN)
        put(home, "人口.xlsx", b, BEGIN + DAY)
        told = look(home, datetime(2001, 1, 1, tzinfo=UTC))[0].remarks
        second = in_force(home) == sha256(b)
        put(home, "人口.xlsx", c, BEGIN + 2 * DAY)
        look(home, BEGIN + 2 * DAY)
        outcomes.append((bool(told), second, in_force(home) == sha256(c)))
    return Outcome(f"told and in force: {outcomes}", all(all(one) for one in outcomes))


# --- the whole way --------------------------------------------------------------------------------------------------


def _receipt(home: Home, content: bytes) -> dict[str, Any]:
    (path,) = (home.outbox / CODE).glob(f"*{sha256(content)[:16]}_回执.json")
    return dict(json.loads(path.read_text(encoding="utf-8"))["filings"][0])


@case("40-operations", "versions, receipts and board after a version was taken back, and again under a lock", slow=True)
def taken_back_the_whole_way(folder: Path) -> Outcome:
    home = home_at(folder, "collected")
    a, b = population(300), population(310)
    for number, content in enumerate((a, b, a)):
        put(home, "人口.xlsx", content, BEGIN + number * DAY)
        look(home, BEGIN + number * DAY)
    published(home)
    names = {sha256(a)[:6]: "A", sha256(b)[:6]: "B"}
    taken = [(number, names[one], standing) for number, one, standing in versions(home)]
    told = [_receipt(home, a), _receipt(home, b)]
    home.decisions.append("lock", by="甲", reason="已上报", now=BEGIN + 4 * DAY, period="2024")
    put(home, "人口.xlsx", b, BEGIN + 5 * DAY)
    look(home, BEGIN + 5 * DAY)
    published(home)
    locked = [(number, names[one], standing) for number, one, standing in versions(home)]
    kept_out = _receipt(home, b)
    board = rows(
        home, "SELECT state, verdict, newest_is_locked_out FROM marts.mart_submission_status WHERE is_received"
    )
    right = (
        taken == [(1, "A", False), (2, "B", False), (3, "A", True)]
        and (told[0]["is_in_force"], told[0]["version_n"], told[0]["earlier_versions"]) == (True, 3, [1])
        and "已被第 3 版取代" in told[1]["next_step"]
        and locked == [*taken, (4, "B", False)]
        and "本期已锁定" in kept_out["next_step"]
        and "第 3 版继续有效" in kept_out["next_step"]
        and board == [("in_force_newer_rejected", "rejected", True)]
    )
    return Outcome(f"{locked}; {kept_out['next_step']}", right)


@case(
    "40-operations",
    "a home with receipts is copied: the outboxes stay; a source that is gone stands on the board",
    slow=True,
)
def copied_and_told_the_whole_way(folder: Path) -> Outcome:
    home = home_at(folder / "old", "collected")
    put(home, "人口.xlsx", population(300), BEGIN)
    look(home, BEGIN)
    published(home)
    before = _content(home, home.raw, home.outbox)
    shutil.copytree(home.root, folder / "new", copy_function=shutil.copyfile)
    moved = Home(folder / "new")
    look(moved, BEGIN + 3 * DAY)
    published(moved)
    same = _content(moved, moved.raw, moved.outbox) == before
    shutil.rmtree(moved.root / "counties" / CODE)
    look(moved, BEGIN + 4 * DAY)
    published(moved)
    told = rows(
        moved,
        "SELECT DISTINCT county_code, source_problem FROM marts.mart_submission_status WHERE source_problem IS NOT NULL",
    )
    manifest = ReleaseLog(moved).find("current")
    holds = verify(moved, manifest).holds
    right = same and [code for code, _ in told] == [CODE] and "找不到来源" in told[0][1] and holds
    return Outcome(
        f"{'nothing differs' if same else 'the copy differs'}; {told}; verify {'holds' if holds else 'fails'}", right
    )
