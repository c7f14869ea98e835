"""`xianbao check`: a county looks at its files before it sends them, by the very rules that will judge them.

Belongs here: which rules are meant (a home's, or those of a bundle), and what is printed and written. Nothing is kept. Imports
only what screening needs: a county has neither Dagster nor dbt nor DuckDB.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.bundle import BUNDLE_NAME, BundleDamaged, opened_bundle
from pipelines.cli import boards
from pipelines.cli.terminal import complain, refuse, say, tell
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.intake.submission import Submission
from pipelines.screening.rules import rule_set_version
from pipelines.screening.screen import Screening, screen
from pipelines.screening.settings import ScreenSettings, screen_settings
from pipelines.workbooks.archives import ZIP_SIGNATURES, Unsafe, open_archive
from pipelines.workbooks.batch_contents import batch_members, is_batch, plain_name
from pipelines.workbooks.bounded import Asking, task_process
from pipelines.workbooks.personal_data import mask_personal


def check_files(home: Home, files: Sequence[Path], *, bundle: Path | None, annotate_into: Path | None) -> int:
    """Screen the files and print what was found. 0: nothing to mend; 1: some file has errors. A mistake in the call: refused."""
    for file in files:
        if not file.is_file():
            refuse(say(f"没有这个文件：{file}", f"No such file: {file}"))
    with _rules(home, bundle) as settings, TemporaryDirectory(prefix="xianbao-check-") as aside:
        submissions = _submissions(files, settings, Path(aside))
        result = screen(submissions, settings)
        boards.show_check(result)
        if annotate_into is not None:
            with _annotating_process(settings) as process:
                for path in _write_annotated(submissions, result, settings, annotate_into, process):
                    tell(say(f"标注：{path}", f"Annotated: {path}"))
    for fault in result.faults.values():
        complain(say(f"系统故障，不是文件的错：{fault}", f"System fault, no fault of the file: {fault}"))
    return int(bool(result.faults) or any(filing.verdict == "rejected" for filing in result.filings))


def annotated_example(home: Home, file: Path) -> Path | None:
    """The workbook that a county would get back for a file, written beside it; None when nothing is found. Made anew only when the
    file or the rules have changed since."""
    made_by = file.parent / f".{file.stem}.made-by"
    now = f"{rule_set_version()} {hashlib.sha256(file.read_bytes()).hexdigest()}"
    target = file.parent / f"标注_{file.stem}.xlsx"
    if target.is_file() and made_by.is_file() and made_by.read_text() == now:
        return target
    settings = screen_settings(home)
    submissions = [Submission("check-1", file, file.name)]
    with _annotating_process(settings) as process:
        written = _write_annotated(submissions, screen(submissions, settings), settings, file.parent, process)
    replace_file(made_by, now.encode())
    return written[0] if written else None


def _submissions(files: Sequence[Path], settings: ScreenSettings, aside: Path) -> list[Submission]:
    """Every file as a submission, a zip of returns as those in it, unpacked into the folder `aside`.

    A bad batch stays the file that it is: screening refuses it as a whole and says why, as it would an arrival.
    """
    found: list[tuple[Path, str]] = []
    for file in files:
        members = _unpacked(file, settings.limits.file_bytes, aside / str(len(found)))
        if members:
            names = "、".join(mask_personal(name) for _, name in members)
            tell(
                say(
                    f"{file.name} 内有 {len(members)} 个文件：{names}",
                    f"{file.name} holds {len(members)} files: {names}",
                )
            )
        found += members or [(file, file.name)]
    return [Submission(f"check-{number}", path, name) for number, (path, name) in enumerate(found, start=1)]


def _unpacked(file: Path, max_bytes: int, folder: Path) -> list[tuple[Path, str]]:
    """The members of a batch: where each was unpacked to, and its name, with its folder where two are called the same."""
    try:
        with file.open("rb") as stream:
            if stream.read(4) not in ZIP_SIGNATURES:
                return []
    except OSError as error:
        refuse(say(f"读不了 {file}：{error.strerror}", f"Cannot read {file}: {error.strerror}"))
    try:
        with open_archive(file) as archive:
            if not is_batch(archive.namelist()):
                return []
            members = batch_members(archive, max_bytes=max_bytes)
            names = Counter(member.name for member in members)
            folder.mkdir()
            unpacked = []
            for number, member in enumerate(members, start=1):
                path = folder / str(number)
                with archive.open(member.info) as packed, path.open("wb") as stream:
                    shutil.copyfileobj(packed, stream)
                shown = member.name if names[member.name] == 1 else member.path.replace("/", "_")
                unpacked.append((path, plain_name(shown)))
            return unpacked
    except Unsafe:
        return []


@contextmanager
def _rules(home: Home, bundle: Path | None) -> Iterator[ScreenSettings]:
    """A bundle that is named; else the home's configuration; else a bundle in the current folder."""
    beside = Path(BUNDLE_NAME)
    if bundle is None and home.configuration.exists():
        yield screen_settings(home)
        return
    if bundle is None and not beside.is_file():
        refuse(
            say(f"不知道按哪套规则检查：请把市局下发的 {BUNDLE_NAME} 放在当前目录，或用 --bundle 指明它在哪里。",
                f"No rules to check by: put {BUNDLE_NAME} into the current folder, or name it with --bundle.")
        )  # fmt: skip
    path = bundle or beside
    if not path.is_file():
        refuse(say(f"没有这个规则包：{path}", f"No such bundle: {path}"))
    try:
        with opened_bundle(path) as opened:
            tell(say(f"规则：{opened.city_name}规则包，版本 {opened.rule_set_version}。",
                     f"Rules: bundle of {opened.city_name}, version {opened.rule_set_version}."))  # fmt: skip
            yield opened.settings
    except BundleDamaged as error:
        refuse(f"{path}：{error}")


def _annotating_process(settings: ScreenSettings) -> AbstractContextManager[Asking]:
    from pipelines.answers.annotated import ANNOTATING

    return task_process(ANNOTATING, settings.limits)


def _write_annotated(
    submissions: Sequence[Submission], result: Screening, settings: ScreenSettings, folder: Path, process: Asking
) -> list[Path]:
    """For each file with findings, the workbook that the county would get back, marked as not yet submitted; their paths."""
    from pipelines.answers.annotated import Heading, Issue, annotate

    counties = {county.code: county.name for county in settings.counties}
    stems = Counter(Path(submission.file_name).stem for submission in submissions)
    written: list[Path] = []
    for number, submission in enumerate(submissions, start=1):
        found = [finding for finding in result.findings if finding.submission_id == submission.submission_id]
        filings = [filing for filing in result.filings if filing.submission_id == submission.submission_id]
        rejected = any(filing.verdict == "rejected" for filing in filings)
        county = next((counties[filing.county_code] for filing in filings if filing.county_code in counties), "")
        counts: Counter[str] = Counter()
        for submission_id, _, _, _, rule_id, _, _, _, failed_n in result.rule_results:
            if submission_id == submission.submission_id:
                counts[rule_id] += failed_n
        heading = Heading(
            receipt_number="（自查，未报送）",
            submission_id=hashlib.sha256(submission.path.read_bytes()).hexdigest(),
            county_name=county,
            received_at="自查件，市局尚未",
            verdict="有错误，报送不会被接收" if rejected else "没有错误",
            counts=dict(counts),
            what_next="请改正全部错误，再自查一次，然后报送。"
            if rejected
            else "请逐条核实；属实的在“核实说明”栏写明原因，再报送。",
        )
        annotated = annotate(
            submission.path,
            submission.file_name,
            [Issue.of(finding) for finding in found],
            heading,
            annotating_process=process,
        )
        if annotated is None:
            continue
        stem = Path(submission.file_name).stem
        stem = stem if stems[stem] == 1 else f"{stem}_{number}"
        path = folder / f"标注_{stem}{annotated.suffix}"
        try:
            replace_file(path, annotated.content)
        except OSError as error:
            refuse(say(f"写不进 {path}：{error.strerror}", f"Cannot write {path}: {error.strerror}"))
        written.append(path)
    return written
