"""What several modules share: one screening of every bad and good file."""

from dataclasses import dataclass

import pytest
from bad_files import BadFile, bad_files, good_files
from builders import SETTINGS, submission

from pipelines.intake.submission import Submission
from pipelines.screening.findings import Finding
from pipelines.screening.screen import Filing, Screening, screen


@dataclass(frozen=True)
class ScreenedOnce:
    """Good and bad files by submission id, and what one call of `screen` said of all of them."""

    bad: dict[str, BadFile]
    good: dict[str, str]
    screening: Screening

    def findings(self, submission_id: str) -> list[Finding]:
        return [finding for finding in self.screening.findings if finding.submission_id == submission_id]

    def filings(self, submission_id: str) -> list[Filing]:
        return [filing for filing in self.screening.filings if filing.submission_id == submission_id]


@pytest.fixture(scope="session")
def screened_once(tmp_path_factory: pytest.TempPathFactory) -> ScreenedOnce:
    folder = tmp_path_factory.mktemp("files")
    sent: list[Submission] = []
    bad, good = {}, {}
    for number, file in enumerate(bad_files()):
        stem, _, suffix = file.file_name.rpartition(".")
        one = submission(folder, f"{stem}_{number}.{suffix}", file.content, file.source)
        bad[one.submission_id] = file
        sent.append(one)
    for name, content, county in good_files():
        one = submission(folder, name, content, county.code)
        good[one.submission_id] = name
        sent.append(one)
    return ScreenedOnce(bad, good, screen(sent, SETTINGS))
