"""What is quarantined, and being rid of it: files in which something of a person was found, and the erasing of their bytes.

Belongs here: which submissions these are, and what has to be kept so that nothing fails or changes for want of the bytes: what screening
had made of them stands in the sidecar (`raw_store.Erasure`), and every table, receipt and release goes on following from that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.answers.answers import write_answers
from pipelines.home import Home
from pipelines.intake.raw_store import Erasure, RawDamaged, RawStore, RawSubmission
from pipelines.screening.screen import recorded, screen
from pipelines.screening.settings import screen_settings
from pipelines.warehouse.build_database import LATEST, open_build_database
from pipelines.warehouse.landing import sender_names
from pipelines.workbooks.personal_data import PERSONAL_RULES


class EraseRefused(ValueError):
    """Why nothing was erased (Chinese)."""


@dataclass(frozen=True)
class Quarantined:
    """One quarantined submission: what was found in it by name of the rule, and whether its bytes are gone."""

    entry: RawSubmission
    rules: tuple[str, ...]


def quarantined(home: Home) -> Iterator[Quarantined]:
    """Every quarantined submission, as it was last screened, by the time that it came. The caller holds `home.writing()`."""
    if not home.build_database.exists():
        return
    with open_build_database(home) as connection:
        found = connection.execute(
            f"""SELECT submission_id, list_sort(list(DISTINCT rule_id)) FROM landing.finding
                SEMI JOIN ({LATEST}) AS latest USING (submission_id, screening_seq)
                WHERE list_contains(?, rule_id) GROUP BY ALL""",
            [sorted(PERSONAL_RULES)],
        ).fetchall()
    rules = {submission_id: tuple(of_it) for submission_id, of_it in found}
    entries = [entry for entry in RawStore(home.raw) if entry.submission_id in rules]
    for entry in sorted(entries, key=lambda entry: (entry.first.received_at, entry.submission_id)):
        yield Quarantined(entry, rules[entry.submission_id])


def submission_named(home: Home, number: str) -> RawSubmission:
    """The submission with a receipt's number, or its SHA-256, or as many of its first characters as tell it from others.

    Raises EraseRefused.
    """
    wanted = number.strip().lower()
    found = [entry for entry in RawStore(home.raw) if len(wanted) >= 4 and entry.submission_id.startswith(wanted)]
    if len(found) != 1:
        told = "没有" if not found else f"有 {len(found)} 个"
        raise EraseRefused(f"{told}回执编号以“{number}”开头的报送件。编号见回执，或 xianbao quarantine list。")
    return found[0]


def erase(home: Home, number: str, *, by: str, reason: str, now: datetime | None = None) -> tuple[RawSubmission, int]:
    """Erase the bytes of one quarantined submission, and of the zips that it came in; returns it and how many zips.

    Sidecar and receipt stay and say so. The caller holds `home.writing()`. Raises EraseRefused.
    """
    if not by.strip() or not reason.strip():
        raise EraseRefused("请写明由谁删除（--by）和理由（--reason）。")
    store = RawStore(home.raw)
    entry = submission_named(home, number)
    at = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    if entry.erased is None:
        try:
            submission = store.to_screen(entry)
        except RawDamaged as damaged:
            raise EraseRefused(f"{damaged.words(sender_names(home))}，再删除。") from None
        screening = screen([submission], screen_settings(home))
        if screening.faults or not {finding.rule_id for finding in screening.findings} & PERSONAL_RULES:
            raise EraseRefused(
                "只有因含个人信息而隔离的文件可以删除；这个文件里没有发现个人信息，原件是数据的依据，不能删除。"
            )
        record: dict[str, object] | None = recorded(screening)
    else:
        record = entry.erased.screening  # a crash came in between, or it was asked for twice
    store.erase(entry.submission_id, Erasure(at, by.strip(), reason.strip(), record))
    zips = [one for one in store if entry.submission_id in one.batch_members]
    for one in zips:
        store.erase(
            one.submission_id, Erasure(at, by.strip(), f"压缩包里有 {entry.submission_id[:16]}：{reason.strip()}")
        )
    _answer_again(home, [entry.submission_id, *(one.submission_id for one in zips)])
    erased = store.get(entry.submission_id)
    assert erased is not None
    return erased, len(zips)


def _answer_again(home: Home, submission_ids: list[str]) -> None:
    """Let the receipts say so now; where nothing was built yet, the next run writes them."""
    if not home.build_database.exists() or not home.marts_database.exists():
        return
    with open_build_database(home) as connection:
        connection.execute("DELETE FROM control.answer WHERE list_contains(?, submission_id)", [submission_ids])
    write_answers(home)
