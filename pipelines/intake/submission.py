"""A submission as it is handed on for screening: its bytes, and who sent them when under which name.

Belongs here: these plain values. How arrivals are kept, `raw_store` says; what becomes of a submission, `screening`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class Sending:
    """One time that bytes were sent (UTC): what counts as received, and when they were collected, which a lock is held against."""

    received_at: datetime
    collected_at: datetime


@dataclass(frozen=True)
class Receipt:
    """A submission's bytes from one county: whose inbox, under which name first, received when first (UTC), and every time that they
    were sent, by the time received; none given: that once. `personal`: (rule, value) of what of persons the name held, which is masked
    since.
    """

    county_code: str
    file_name: str
    received_at: datetime
    sendings: tuple[Sending, ...] = ()
    personal: tuple[tuple[str, str], ...] = ()

    @property
    def every_sending(self) -> tuple[Sending, ...]:
        return self.sendings or (Sending(self.received_at, self.received_at),)


@dataclass(frozen=True)
class Submission:
    """The bytes to screen. `receipts` may be empty for a file that never came in (`xianbao check`). `erased`: the bytes are gone, and this
    is what screening had made of them (`recorded`)."""

    submission_id: str
    path: Path
    file_name: str
    receipts: tuple[Receipt, ...] = ()
    erased: Mapping[str, Any] | None = None
