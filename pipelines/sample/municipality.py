"""The configuration of the sample's municipality: Xinzhou with its counties, and the calendar of the three years that it reports.

Belongs here: what of a `municipality.yaml` and of policy is the sample's; how one is written is `pipelines.municipality`'s. Its deadlines lie in the
past, as the files do, which is why it takes them as received when they were last changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipelines.home import Home
from pipelines.municipality import NewArea, NewCalendarEntry, ReceivedAt, write_template
from pipelines.periods import parse_period
from pipelines.policy.starter import write_policy_folder
from pipelines.returns import current_definitions
from pipelines.sample.delivery import FOLDER, LEDGER, due_after
from pipelines.sample.queries import sample_queries
from pipelines.sample.world import CALENDAR_YEARS, MONTHS, QUARTERS, RETURNS, SCHOOL_YEARS, SEMESTERS

CITY, PROVINCE = NewArea("140900", "忻州市", "Xinzhou"), NewArea("140000", "山西省")
COUNTIES = (
    NewArea("140902", "忻府区", "Xinfu"), NewArea("140921", "定襄县", "Dingxiang"), NewArea("140922", "五台县", "Wutai"),
    NewArea("140923", "代县", "Daixian"), NewArea("140924", "繁峙县", "Fanshi"), NewArea("140925", "宁武县", "Ningwu"),
    NewArea("140926", "静乐县", "Jingle"), NewArea("140927", "神池县", "Shenchi"), NewArea("140928", "五寨县", "Wuzhai"),
    NewArea("140929", "岢岚县", "Kelan"), NewArea("140930", "河曲县", "Hequ"), NewArea("140931", "保德县", "Baode"),
    NewArea("140932", "偏关县", "Pianguan"), NewArea("140981", "原平市", "Yuanping"),
)  # fmt: skip
_PERIODS = {
    "school_year": SCHOOL_YEARS, "semester": SEMESTERS, "calendar_year": CALENDAR_YEARS, "quarter": QUARTERS, "month": MONTHS,
}  # fmt: skip
_COMMAND = "xianbao sample（合成样例）"
_POLICY = Path(__file__).with_name("policy")


def write_sample_municipality(
    path: Path,
    *,
    force: bool = False,
    received_at: ReceivedAt = "modified",
    references: Mapping[str, str] | None = None,
) -> None:
    """Write the sample's `municipality.yaml`, and its policy beside it. Raises ConfigurationError as `write_template` does."""
    calendar = []
    for code in (*RETURNS, *(code for code in sample_queries() if code not in RETURNS)):
        defined = current_definitions()[code]
        periods = _PERIODS[defined.period_types[0]]
        title = f"{defined.form} {defined.title}"
        first, last = parse_period(periods[0]), parse_period(periods[-1])
        calendar.append(NewCalendarEntry(code, title, first, last, *due_after(code)))
    write_template(
        path, city=CITY, province=PROVINCE, counties=COUNTIES, calendar=calendar, command=_COMMAND, force=force,
        received_at=received_at, references=references,
    )  # fmt: skip
    write_sample_policy(path.parent)


def write_sample_policy(root: Path) -> None:
    """Write the policy of the sample's municipality into a home that has none: categories, tiers and figures of Xinzhou."""
    own = {file.name: file.read_bytes() for file in sorted(_POLICY.glob("*.csv"))}
    write_policy_folder(Home(root), own)


def is_sample_home(root: Path, configuration: Path) -> bool:
    """Whether a home is the sample's: it wrote the configuration, or files before."""
    if (root / FOLDER / LEDGER).exists():
        return True
    try:
        return _COMMAND in configuration.read_text(encoding="utf-8").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError):
        return False
