"""Files and configurations made to harm: what they cost, whom they keep waiting, what they pass for."""

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import Outcome, case

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from builders import DINGXIANG, SETTINGS, XINFU, Draft, submission, xlsx

from pipelines.home import Home
from pipelines.intake.collect import collect
from pipelines.intake.submission import Submission
from pipelines.municipality import ConfigurationError
from pipelines.returns import DefinitionError, all_definitions
from pipelines.rule_files import definitions_folder, rules_from
from pipelines.screening.screen import Screening, screen
from pipelines.screening.settings import ScreenSettings, batch_budget
from pipelines.warehouse.landing import land_new
from pipelines.workbooks.bounded import Budget, ReadLimits
from tests.homes import small_home
from tests.hostile.files import parts_of, with_parts

_TURN, _ISOLATE = "\u202e", "\u2067"
_PLACEHOLDER = "占位小学"


def _named(name: str, return_code: str = "enrolment") -> bytes:
    """A return in which one school has the given name as a text, whatever it begins with."""
    draft = Draft(return_code)
    draft.rows[0]["school_name"] = _PLACEHOLDER
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace("\t", "&#9;").replace("\r", "&#13;")

    def put(part: bytes) -> bytes:
        return part.replace(f"<t>{_PLACEHOLDER}</t>".encode(), f'<t xml:space="preserve">{escaped}</t>'.encode())

    return with_parts(draft.xlsx(), **{"xl/worksheets/sheet1.xml": put})


def _screened(folder: Path, content: bytes, name: str = "报表.xlsx", settings: ScreenSettings = SETTINGS) -> Screening:
    return screen([submission(folder, name, content)], settings)


def _verdict(result: Screening) -> str:
    told = [(one.rule_id, one.cell) for one in result.findings[:5]]
    return f"{'、'.join(filing.verdict for filing in result.filings)} {told}"


def _remarks(number: int, width: int) -> list[list[str | None]]:
    """So many remarks of so many characters, no two alike, so that they do not pack to nothing."""
    return [
        [None, "".join(f"说明{(place * 7_919 + row * 104_729) % 99_991}" for place in range(width))[:width]]
        for row in range(number)
    ]


# What a file costs ----------------------------------------------------------------------------------------------------


def _seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def _costs_the_run_nothing(folder: Path, content: bytes, name: str = "报表.xlsx", most_cells: int = 100_000) -> Outcome:
    """Screened, and held against a faultless file: the run's own process does no more for the one than for the other."""
    _screened(folder, Draft("enrolment").xlsx())  # what is loaded once
    before = _seconds()
    _screened(folder, Draft("enrolment").xlsx())
    usual, before, begun = _seconds() - before, _seconds(), time.monotonic()
    limits = ReadLimits(cells=most_cells)
    result = _screened(folder, content, name, ScreenSettings(SETTINGS.counties, SETTINGS.periods, limits))
    cost, took = _seconds() - before, time.monotonic() - begun
    right = bool(result.filings) and not result.faults and cost < 2 * usual + 0.5
    return Outcome(f"{_verdict(result)}, {cost:.1f} s in the run (usually {usual:.1f} s), {took:.0f} s in all", right)


_ALTERNATING = "\u0327\u0301" * 16_000
_DECOMPOSING = "\u0f73\u0f71" * 16_000


@case("20-combining-marks", "one name of 32,000 marks in turn")
def _(folder: Path) -> Outcome:
    return _costs_the_run_nothing(folder, _named("a" + _ALTERNATING))


@case("20-combining-marks", "marks that decompose into others")
def _(folder: Path) -> Outcome:
    return _costs_the_run_nothing(folder, _named("a" + _DECOMPOSING))


@case("20-combining-marks", "a cover, a heading and a sheet's name of marks")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment", sheet="一" + "\u0301\u0327" * 15)
    draft.put_cover("报告期", "2024-2025学年" + _ALTERNATING)
    draft.headers["school_name"] += _ALTERNATING
    draft.title = "在校生" + _ALTERNATING
    return _costs_the_run_nothing(folder, draft.xlsx())


@case("20-combining-marks", "a CSV with a cell of a million marks")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = "a" + "\u0327\u0301" * 500_000
    return _costs_the_run_nothing(folder, draft.csv(), "报表.csv")


@case("20-combining-marks", "a list of findings with replies of marks")
def _(folder: Path) -> Outcome:
    replies = [["问题编号", "核实说明"], *([f"X1|{number}", "甲" + _ALTERNATING] for number in range(60))]
    return _costs_the_run_nothing(folder, xlsx(Draft("enrolment"), others={"问题清单": replies}))


@case("20-combining-marks", "a name of one mark repeated is read or told")
def _(folder: Path) -> Outcome:
    result = _screened(folder, _named("南关小学" + "\u0301" * 300))
    return Outcome(_verdict(result), [one.verdict for one in result.filings] == ["accepted"])


@case("21-slow-but-legal", "300 remarks of 32,000 characters")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment")
    draft.notes += _remarks(300, 32_000)
    return _costs_the_run_nothing(folder, draft.xlsx())


@case("21-slow-but-legal", "names of 32,000 characters under a heading that is read")
def _(folder: Path) -> Outcome:
    outcome = _costs_the_run_nothing(folder, _named("南关小学" * 8_000))
    return Outcome(outcome.words, outcome.right and "FILE-1a-text-too-long" in outcome.words)


@case("21-slow-but-legal", "groups of digits that could be anybody's number")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment")
    draft.notes += [[None, "1380 0000 " * 3_000] for _ in range(60)]
    return _costs_the_run_nothing(folder, draft.xlsx())


@case("21-slow-but-legal", "a row of 16,384 columns, and 20 sheets of labels")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment")
    draft.notes.append([f"注{number}" for number in range(16_384)])
    labels = [[column.label for column in draft.definition.columns]] * 300
    return _costs_the_run_nothing(
        folder, xlsx(draft, others={f"表{number}": labels for number in range(20)}), most_cells=2_000_000
    )


@case("21-slow-but-legal", "more characters than a file may hold")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment")
    draft.notes += _remarks(100, 32_000)
    settings = ScreenSettings(SETTINGS.counties, SETTINGS.periods, ReadLimits(characters=2_000_000))
    result = _screened(folder, draft.xlsx(), settings=settings)
    return Outcome(_verdict(result), [one.rule_id for one in result.findings] == ["FILE-0-limits"])


def _slow() -> bytes:
    """A file that takes more than a second of the processor's time, in whatever machine."""
    draft = Draft("enrolment")
    draft.notes += [[None, "1380 0000 \u0301" * 2_900] for _ in range(600)]
    return draft.xlsx()


@case("21-slow-but-legal", "a county sends nine slow files, another one good file, in one run after the other")
def _(folder: Path) -> Outcome:
    home = small_home(folder, [("140902", "忻府区", "Xinfu"), ("140921", "定襄县", "Dingxiang")])
    home.configuration.write_text(
        home.configuration.read_text().replace("limits: {", "limits: {seconds: 1, county_seconds: 2, ")
    )
    for county, contents in ((XINFU, [_slow()] * 9), (DINGXIANG, [Draft("enrolment", DINGXIANG).xlsx()])):
        inbox = home.root / "counties" / county.code
        inbox.mkdir(parents=True)
        for number, content in enumerate(contents):
            (inbox / f"{number}.xlsx").write_bytes(with_parts(content, **{f"n{number}.txt": b"%d" % number}))
    home = Home(home.root)
    for county in home.municipality.counties:
        collect(home, county)
    runs: list[tuple[int, int]] = []
    first: list[str | None] = []
    while not runs or runs[-1][1]:
        with home.writing():
            landed = land_new(home, budget=batch_budget(home.municipality))
        first = first or [filing.county_code for filing in landed.filings if filing.verdict == "accepted"]
        runs.append((landed.submissions_n, sum(landed.postponed.values())))
        if home.postponed.exists() != bool(landed.postponed) or len(runs) > 9:
            return Outcome(f"what was left is not noted: {runs}", False)
    right = first == [DINGXIANG.code] and len(runs) > 2 and sum(judged for judged, _ in runs) == 10
    return Outcome(f"(judged, left for the next run): {runs}; accepted by the first: {first}", right)


@case("21-slow-but-legal", "the county with one slow file is not asked for a second one before the others")
def _(folder: Path) -> Outcome:
    """Two at a time are read; the slow ones may hold up one reader, never both."""
    slow = _slow()
    sent = [
        submission(folder, f"慢{number}.xlsx", with_parts(slow, **{f"n{number}.txt": b"%d" % number}))
        for number in range(6)
    ]
    sent += [submission(folder, "好.xlsx", Draft("enrolment", DINGXIANG).xlsx(), DINGXIANG.code)]
    settings = ScreenSettings(SETTINGS.counties, SETTINGS.periods, ReadLimits(seconds=1))
    result = screen(sent, settings, budget=Budget(county_seconds=0.01))
    judged = {filing.county_code for filing in result.filings}
    right = set(result.postponed.values()) == {XINFU.code} and DINGXIANG.code in judged
    return Outcome(f"judged of {sorted(map(str, judged))}, left {list(result.postponed.values())}", right)


@contextlib.contextmanager
def _readers_stopped(seconds: float):
    """Each process that this one starts stands still for so many seconds, once."""
    over = threading.Event()

    def stop() -> None:
        met: set[int] = set()
        while not over.is_set():
            children = Path(f"/proc/{os.getpid()}/task")
            for path in children.glob("*/children"):
                with contextlib.suppress(OSError):
                    for pid in map(int, path.read_text().split()):
                        if pid not in met:
                            met.add(pid)
                            time.sleep(0.1)
                            os.kill(pid, signal.SIGSTOP)
                            time.sleep(seconds)
                            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@case("21-slow-but-legal", "the machine stands still for four seconds while a good file may cost one")
def _(folder: Path) -> Outcome:
    settings = ScreenSettings(SETTINGS.counties, SETTINGS.periods, ReadLimits(seconds=1))
    with _readers_stopped(4):
        result = _screened(folder, Draft("enrolment").xlsx(), settings=settings)
    return Outcome(_verdict(result), [one.verdict for one in result.filings] == ["accepted"] and not result.findings)


# Configuration --------------------------------------------------------------------------------------------------------

_COUNTIES = [("140902", "忻府区", "Xinfu"), ("140921", "定襄县", "Dingxiang")]


def _configured(folder: Path, change: Callable[[str], str]) -> Outcome:
    """What the product says of a changed configuration, and what that costs."""
    home = small_home(folder / "home", _COUNTIES)
    home.configuration.write_text(change(home.configuration.read_text()))
    before = _seconds()
    try:
        Home(home.root).municipality  # noqa: B018 - reading is what is tried
    except ConfigurationError as error:
        cost = _seconds() - before
        told = error.problems[0]
        return Outcome(
            f"{told} ({cost:.1f} s)", told.line is not None and bool(told.remedy) and cost < 10 and len(str(told)) < 500
        )
    return Outcome("accepted", False)


def _bomb(levels: int, of: Callable[[int], str]) -> str:
    return "\n".join(of(level) for level in range(levels)) + "\n"


_LISTS = _bomb(9, lambda n: f"laugh{n}: &l{n} [" + ", ".join([f"*l{n - 1}" if n else "x"] * 10) + "]")
_MAPPINGS = _bomb(
    9, lambda n: f"laugh{n}: &l{n} {{" + ", ".join(f"k{k}: {f'*l{n - 1}' if n else 'x'}" for k in range(10)) + "}"
)


@case("31-configuration-made-to-harm", "aliases of lists that unfold, in a name")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: _LISTS + text.replace("name_en: Xinfu", "name_en: *l8"))


@case("31-configuration-made-to-harm", "aliases of mappings that unfold, under limits")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: _MAPPINGS + text.replace("limits: {", "limits: {cells: *l8, "))


@case("31-configuration-made-to-harm", "a chain of aliases that nests")
def _(folder: Path) -> Outcome:
    chain = _bomb(3_000, lambda n: f"c{n}: &c{n} [{f'*c{n - 1}' if n else 'x'}]")
    return _configured(folder, lambda text: chain + text.replace("name_en: Xinfu", "name_en: *c2999"))


@case("31-configuration-made-to-harm", "a number of five thousand digits")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: text.replace("settle_seconds: 0", f"settle_seconds: {'9' * 5000}"))


@case("31-configuration-made-to-harm", "a word of sixty thousand characters where a number belongs")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: text.replace("settle_seconds: 0", f"settle_seconds: {'x' * 60_000}"))


@case("31-configuration-made-to-harm", "an alias of what it stands in")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: "me: &me {a: *me}\n" + text)


@case("31-configuration-made-to-harm", "brackets a hundred thousand deep")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: text + "deep: " + "[" * 100_000 + "]" * 100_000 + "\n")


@case("31-configuration-made-to-harm", "lists in lists on one line, fifty thousand deep")
def _(folder: Path) -> Outcome:
    return _configured(folder, lambda text: text + "deep:\n" + "- " * 50_000 + "x\n")


@case("31-configuration-made-to-harm", "a definition with aliases that unfold")
def _(folder: Path) -> Outcome:
    (folder / "definitions").mkdir()
    (folder / "expectations").mkdir()
    first = min(definitions_folder().glob("*.yaml"))
    (folder / "definitions" / first.name).write_text(_LISTS + first.read_text())
    before = _seconds()
    with rules_from(folder):
        try:
            all_definitions()
        except DefinitionError as error:
            return Outcome(f"{error} ({_seconds() - before:.1f} s)", _seconds() - before < 10)
    return Outcome("accepted", False)


@case("31-configuration-made-to-harm", "one deadline written once and referred to is a configuration like any other")
def _(folder: Path) -> Outcome:
    outcome = _configured(
        folder,
        lambda text: text.replace("due: {after: start", "due: &due {after: start", 1).replace(
            "due: {after: start, days: 45}", "due: *due", 1
        ),
    )
    return Outcome(outcome.words, outcome.words == "accepted")


def _places(folder: Path) -> dict[str, str]:
    home = folder / "home"
    (home / "raw" / "submissions").mkdir(parents=True)
    (home / "counties").mkdir()
    (home / "counties" / "link").symlink_to(home / "raw")
    (folder / "outside").symlink_to(home / "warehouse")
    return {
        "raw": "raw",
        "beneath raw": "raw/submissions/ab",
        "dots": "counties/../raw/submissions",
        "slashes": ".//warehouse///private/",
        "a link": "counties/link/submissions",
        "a link from outside": str(folder / "outside" / "private"),
        "absolute": str(home / "warehouse"),
        "file://": f"file://{home}/raw",
        "local://": f"local://{home}/raw",
        "dir::file://": f"dir::file://{home}/raw",
        "a cache before it": f"simplecache::file://{home}/raw/submissions",
        "the home": ".",
        "the home by another way": "counties/..",
        "the folder above": str(folder),
        "the root": "/",
    }


def _lies_in(folder: Path, line: Callable[[str], str]) -> Outcome:
    accepted: list[str] = []
    silent: list[str] = []
    for what, place in _places(folder).items():
        home = small_home(folder / "home", _COUNTIES)
        text = home.configuration.read_text()
        home.configuration.write_text(text.replace('source: "counties/140902"', line(place)))
        try:
            Home(home.root).municipality  # noqa: B018
            accepted.append(what)
        except ConfigurationError as error:
            if not any(told.line and told.remedy and "本系统" in told.message for told in error.problems):
                silent.append(f"{what}: {error}")
    return Outcome(f"accepted: {accepted}, without a word of what is wrong: {silent}", not accepted and not silent)


@case("31-configuration-made-to-harm", "a source in raw/, in warehouse/, that is the home or lies above it")
def _(folder: Path) -> Outcome:
    return _lies_in(folder, 'source: "{}"'.format)


@case("31-configuration-made-to-harm", "an outbox in raw/, in warehouse/, that is the home or lies above it")
def _(folder: Path) -> Outcome:
    return _lies_in(folder, 'source: "counties/140902", outbox: "{}"'.format)


@case("31-configuration-made-to-harm", "folders beside raw/ and outside of the home are right")
def _(folder: Path) -> Outcome:
    refused = []
    for place in (
        "回执/140902",
        "counties/140902-回执",
        str(folder / "elsewhere"),
        f"file://{folder}/elsewhere",
        "raw2",
    ):
        home = small_home(folder / "home", _COUNTIES)
        text = home.configuration.read_text()
        home.configuration.write_text(text.replace('"counties/140902"', f'"counties/140902", outbox: "{place}"'))
        try:
            Home(home.root).municipality  # noqa: B018
        except ConfigurationError as error:
            refused.append(str(error))
    return Outcome(f"refused: {refused}", not refused)


# Document types -------------------------------------------------------------------------------------------------------

_ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
_ELSEWHERE = '<!DOCTYPE x SYSTEM "http://example.com/x.dtd">'
_VML = '<xml xmlns:v="urn:schemas-microsoft-com:vml"><v:shape/></xml>'
_PARTS = {
    "[Content_Types].xml": None, "_rels/.rels": None, "docProps/app.xml": None, "docProps/core.xml": None,
    "xl/styles.xml": None, "xl/theme/theme1.xml": None, "xl/workbook.xml": None, "xl/_rels/workbook.xml.rels": None,
    "docProps/custom.xml": "<Properties/>", "customXml/item1.xml": "<a/>", "xl/drawings/drawing1.xml": "<wsDr/>",
    "xl/drawings/vmlDrawing1.vml": _VML, "xl/comments1.xml": "<comments/>", "xl/threadedComments/threadedComment1.xml": "<a/>",
    "xl/persons/person.xml": "<a/>", "xl/charts/chart1.xml": "<a/>", "xl/externalLinks/externalLink1.xml": "<a/>",
    "xl/media/part.dat": "<a/>", "customUI/customUI.xml": "<a/>",
}  # fmt: skip


def _with_type(part: str, doctype: str) -> str:
    head, sep, rest = part.partition("?>") if part.startswith("<?xml") else ("", "", part)
    return head + sep + doctype + rest


def _refused_parts(folder: Path, made: dict[str, bytes]) -> Outcome:
    """Each workbook is refused, and without its document type it would not be."""
    sent = {what: submission(folder, f"{number}.xlsx", content) for number, (what, content) in enumerate(made.items())}
    result = screen(list(sent.values()), SETTINGS)
    verdicts = {filing.submission_id: filing.verdict for filing in result.filings}
    told = {one.submission_id for one in result.findings if "DTD" in one.message}
    through = [
        what for what, one in sent.items() if verdicts[one.submission_id] != "rejected" or one.submission_id not in told
    ]
    return Outcome(f"{len(made) - len(through)} refused, through: {through}", not through)


@case("32-dtd-in-other-parts", "a document type in each part of a package, with entities or from elsewhere")
def _(folder: Path) -> Outcome:
    good = Draft("enrolment").xlsx()
    parts = parts_of(good)
    made = {}
    for name, content in _PARTS.items():
        text = parts[name].decode() if content is None else content
        for doctype in (_ENTITIES, _ELSEWHERE):
            made[f"{name} {doctype[:18]}"] = with_parts(good, **{name: _with_type(text, doctype).encode()})
    return _refused_parts(folder, made)


@case("32-dtd-in-other-parts", "in other encodings, behind blanks, comments and instructions")
def _(folder: Path) -> Outcome:
    good = Draft("enrolment").xlsx()
    body = f"{_ENTITIES}<a>x</a>"
    written = {
        "utf-16": body.encode("utf-16"),
        "utf-16 without a mark": f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode("utf-16-le"),
        "utf-16 big": b"\xfe\xff" + body.encode("utf-16-be"),
        "utf-32": body.encode("utf-32"),
        "utf-7": f'<?xml version="1.0" encoding="UTF-7"?>{body}'.replace("<!D", "+ADwAIQ-D").encode(),
        "ebcdic": f'<?xml version="1.0" encoding="cp037"?>{body}'.encode("cp037"),
        "latin": f'<?xml version="1.0" encoding="iso-8859-1"?>{body}'.encode("latin-1"),
        "gb18030": f'<?xml version="1.0" encoding="gb18030"?><!-- 注 -->{body}'.encode("gb18030"),
        "a mark": b"\xef\xbb\xbf" + body.encode(),
        "blanks": b"\n\n  \t" + body.encode(),
        "blanks before the declaration": b'\n <?xml version="1.0"?>' + body.encode(),
        "a long comment": f"<!--{'x' * 2_000_000}-->{body}".encode(),
        "instructions": f"<?a b?><!-- c -->\n<?d e?>{body}".encode(),
    }
    return _refused_parts(
        folder, {what: with_parts(good, **{"docProps/custom.xml": one}) for what, one in written.items()}
    )


@case("32-dtd-in-other-parts", "in the parts of an OpenDocument file")
def _(folder: Path) -> Outcome:
    from tests.hostile.files import ods_of

    good = ods_of("甲", 1)
    parts = parts_of(good)
    office = '<office:document-styles xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>'
    made = {}
    for name in (
        "content.xml",
        "styles.xml",
        "meta.xml",
        "settings.xml",
        "META-INF/manifest.xml",
        "Object 1/content.xml",
    ):
        text = parts[name].decode() if name in parts else office
        made[name] = with_parts(good, **{name: _with_type(text, _ENTITIES).encode()})
    return _refused_parts(folder, made)


@case("32-dtd-in-other-parts", "a picture and a list of macros whose document types declare nothing are no reason")
def _(folder: Path) -> Outcome:
    svg = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg/>'
    result = _screened(folder, with_parts(Draft("enrolment").xlsx(), **{"xl/media/image1.svg": svg.encode()}))
    return Outcome(_verdict(result), [one.verdict for one in result.filings] == ["accepted"])


# Texts that pass for something else -----------------------------------------------------------------------------------

_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _turned(result: Screening) -> list[str]:
    """What is handed on with a character in it that turns its direction."""
    said = [str(value) for one in [*result.findings, *result.filings] for value in vars(one).values()]
    said += [str(value) for row in [*result.cell_columns, *result.explanations] for value in row]
    said += [str(value) for frame in result.rows.values() for row in frame.iter_rows() for value in row]
    return [ascii(text) for text in said if any(character in text for character in _TURNING)]


@case("33-direction-override", "each character in a school's name")
def _(folder: Path) -> Outcome:
    sent = [
        submission(folder, f"{number}.xlsx", _named(f"南关{character}学小"))
        for number, character in enumerate(_TURNING)
    ]
    result = screen(sent, SETTINGS)
    told = {one.submission_id for one in result.findings if one.cell}
    silent = [
        f"U+{ord(character):04X}"
        for one, character in zip(sent, _TURNING, strict=True)
        if one.submission_id not in told
    ]
    turned = _turned(result)
    return Outcome(f"not told: {silent}, handed on: {turned}", not silent and not turned)


@case("33-direction-override", "in the names of file and sheet, in title, heading, cover and reply")
def _(folder: Path) -> Outcome:
    draft = Draft("enrolment", sheet=f"在校{_TURN}生")
    draft.title = f"{draft.title}{_ISOLATE}一"
    draft.headers["school_name"] += _TURN
    draft.cover += [("备注", f"甲{_TURN}乙")]
    replies = [["问题编号", "核实说明"], ["X1|改动", f"属实{_TURN}无误"]]
    result = _screened(folder, xlsx(draft, others={"问题清单": replies}), f"忻府区{_TURN}xslx.报表.xlsx")
    told = [(one.rule_id, one.sheet, one.cell) for one in result.findings if "turned" in one.rule_id]
    turned = _turned(result)
    return Outcome(f"{len(told)} places told: {told}; handed on: {turned}", len(told) == 6 and not turned)


@case("33-direction-override", "in a column of choices it is refused")
def _(folder: Path) -> Outcome:
    draft = Draft("school")
    draft.rows[0]["organiser"] = f"{draft.rows[0]['organiser']}{_TURN}办"
    result = _screened(folder, draft.csv(), "报表.csv")
    return Outcome(_verdict(result), result.filings[0].verdict == "rejected" and not _turned(result))


_STARTS_OR_FETCHES = [
    "=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "＝cmd|' /C calc'!A0", '-2+3+WEBSERVICE("http://example.com")',
    '=HYPERLINK("http://example.com","x")', '+IMPORTXML("http://example.com","//a")', "\t=cmd|'/c calc'!A1", "\r=cmd|'/c calc'!A1",
    "＋cmd|' /C calc'!A0", "－2+cmd|' /C calc'!A0", "＠SUM(cmd|' /C calc'!A0)", '=DDE("cmd";"/C calc";"x")',
    "=MSEXCEL|'\\..\\..\\x.exe'!''", "＝ＷＥＢＳＥＲＶＩＣＥ(\"http://example.com\")", "'=cmd|'/c calc'!A1", "\u200b=cmd|'/c calc'!A1",
    '=IMAGE("http://example.com/x.png")', "=rundll32|'URL.dll,OpenURL calc.exe'!A",
    '=_xlfn.WEBSERVICE("http://example.com")', "='\\\\example.com\\a\\[b.xlsx]表'!A1", "=1+'http://example.com/[b.xlsx]表'!A1",
]  # fmt: skip


@case("34-formula-as-a-name", "texts that start a program or fetch, in the forms of a workbook and as CSV")
def _(folder: Path) -> Outcome:
    from builders import xls

    from tests.hostile.files import ods_of, xlsb_of

    sent: dict[str, Submission] = {}
    for number, text in enumerate(_STARTS_OR_FETCHES):
        draft = Draft("enrolment")
        draft.rows[0]["school_name"] = text
        made = {
            "xlsx": _named(text), "csv": draft.csv(), "xls": xls([[text, 1]]), "ods": ods_of(text.strip(), 1),
            "xlsb": xlsb_of(text, 1.0),
        }  # fmt: skip
        sent |= {f"{kind} {text!r}": submission(folder, f"{number}.{kind}", content) for kind, content in made.items()}
    result = screen(list(sent.values()), SETTINGS)
    refused = {one.submission_id for one in result.findings if one.rule_id == "FILE-0-active-content"}
    through = [what for what, one in sent.items() if one.submission_id not in refused]
    return Outcome(f"{len(_STARTS_OR_FETCHES)} texts, through: {through}", not through)


@case("34-formula-as-a-name", "texts that only compute are told at their cell")
def _(folder: Path) -> Outcome:
    texts = [
        "=1+1",
        "＝1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1:A9)",
        "＠SUM(A1)",
        "\t=1+1",
        "=A1",
        "-A1+B2",
        "+Sheet1!A1",
        "－SUM(A1)",
        "'=1+1",
    ]
    sent = {text: submission(folder, f"{number}.xlsx", _named(text)) for number, text in enumerate(texts)}
    result = screen(list(sent.values()), SETTINGS)
    told = {one.submission_id for one in result.findings if one.rule_id == "FILE-1a-formula-as-text" and one.cell}
    silent = [text for text, one in sent.items() if one.submission_id not in told]
    return Outcome(f"{len(texts)} texts, not told: {silent}", not silent)


@case("34-formula-as-a-name", "dashes, grades and signs that truthful names begin with raise nothing")
def _(folder: Path) -> Outcome:
    texts = [
        "-",
        "－",
        "--",
        "+",
        "A+",
        "+A",
        "-小学",
        "+级小学",
        "-无-",
        "—",
        "南关小学（=原二小）",
        "第1+1小学",
        "@",
        "=",
        "-5",
        "+5",
    ]
    sent = {text: submission(folder, f"{number}.xlsx", _named(text)) for number, text in enumerate(texts)}
    result = screen(list(sent.values()), SETTINGS)
    names = {one.submission_id: text for text, one in sent.items()}
    told = {
        names[one.submission_id]: one.rule_id
        for one in result.findings
        if "formula" in one.rule_id or "active" in one.rule_id
    }
    return Outcome(f"{len(texts)} names, told: {told}", not told)
