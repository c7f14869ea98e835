"""Reading a home's ``municipality.yaml``, with every mistake at once, by file, line and remedy.

Belongs here: the parts of a configuration against each other, and pydantic's errors in the words of the bureau. The
loader is told the codes and period types of returns. What each part is by itself stands in `model`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar, get_args

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipelines.municipality.addresses import OWN_FOLDERS, is_within, local_place, place_of
from pipelines.municipality.model import (
    CalendarEntry,
    City,
    County,
    Entry,
    Limits,
    Municipality,
    Publish,
    ReceivedAt,
    Reference,
    Succession,
)
from pipelines.municipality.problems import ConfigurationError, shown_value
from pipelines.yaml_mistakes import Location, YamlMistakes, YamlTree, did_you_mean, listed

# The references that a screener exists for; a name outside it would be collected by nobody.
KNOWN_REFERENCES = ("census_2020",)
EntryType = TypeVar("EntryType", bound=Entry)


def load_municipality(
    path: Path,
    returns: Mapping[str, Collection[str]],
    *,
    references: Collection[str] = KNOWN_REFERENCES,
) -> Municipality:
    """Read and check ``municipality.yaml``.

    ``returns`` gives the period types each known return takes, by return code:
    ``{"rural_subsidy": ["quarter", "month"]}``. ``references`` are the names an external reference may have.
    Raises ConfigurationError with all mistakes at once.
    """
    try:
        tree = YamlTree.read(
            path,
            called="配置文件",
            missing="运行 xianbao init 生成一份带注释的配置，再按实际情况修改",
            example=" xianbao init 生成的配置",
        )
    except YamlMistakes as error:
        raise ConfigurationError(error.problems) from None
    return _Loader(tree, returns, references).municipality()


class _Loader:
    """Turns one parsed file into a Municipality, gathering problems on the way instead of stopping at the first."""

    def __init__(
        self,
        tree: YamlTree,
        returns: Mapping[str, Collection[str]],
        references: Collection[str],
    ) -> None:
        self._file = tree.file
        self._tree = tree.tree
        self._returns = returns
        self._references = references
        self._report, self._line, self._validated = tree.report, tree.line, tree.validated
        self._problems = tree.problems

    def municipality(self) -> Municipality:
        names = list(Municipality.model_fields)
        for key in self._tree:
            if key not in names:
                self._report((key,), f"不认识的配置项“{key}”", did_you_mean(str(key), names))

        city = self._section("city", City, required=True)
        counties = self._entries("counties", County, "县区", required=True)
        successions = self._entries("successors", Succession, "县区沿革")
        references = self._entries("references", Reference, "外部参照")
        calendar = self._entries("calendar", CalendarEntry, "报送日历", required=True)
        publish = self._section("publish", Publish) or Publish()
        limits = self._section("limits", Limits) or Limits()
        received_at = self._received_at()

        self._check_unique("counties", "code", "县区代码")
        self._check_unique("counties", "name", "县区名称")
        self._check_unique("counties", "source", "县区来源")
        self._check_unique("references", "name", "外部参照")
        if city is not None:
            self._check_prefix(city, counties)
        self._check_successions(successions, counties)
        self._check_references(references)
        self._check_calendar(calendar)
        self._check_own_folders(counties, references)
        self._check_outboxes(counties, references)

        if self._problems or city is None:
            raise ConfigurationError(self._problems)
        municipality = Municipality(
            city=city,
            received_at=received_at,
            counties=tuple(counties.values()),
            successors=tuple(successions.values()),
            references=tuple(references.values()),
            calendar=tuple(calendar.values()),
            publish=publish,
            limits=limits,
        )
        municipality._file = self._file
        municipality._source_lines = {
            entry.source: line
            for section, entries in (("counties", counties), ("references", references))
            for index, entry in entries.items()
            if (line := self._line((section, index, "source"))) is not None
        }
        return municipality

    # -- one part at a time

    def _section(self, name: str, model: type[EntryType], *, required: bool = False) -> EntryType | None:
        value = self._tree.get(name)
        if value is None:
            if required:
                self._report((name,), f"缺少“{name}”", f"补上 {name}: 一节，写法见 xianbao init 生成的配置")
            return None
        return self._validated(value, model, (name,))

    def _entries(
        self, name: str, model: type[EntryType], label: str, *, required: bool = False
    ) -> dict[int, EntryType]:
        """The valid entries of a list by their position; the invalid ones are reported."""
        value = self._tree.get(name)
        if value is None or (isinstance(value, CommentedSeq) and not value):
            if required:
                self._report((name,), f"{label}（{name}）一条也没有", f"在 {name}: 下至少写一条以“- ”开头的记录")
            return {}
        if not isinstance(value, CommentedSeq):
            self._report((name,), f"{label}（{name}）应是列表", f"在 {name}: 下每条记录以“- ”开头")
            return {}
        entries = {index: self._validated(item, model, (name, index)) for index, item in enumerate(value)}
        return {index: entry for index, entry in entries.items() if entry is not None}

    def _received_at(self) -> ReceivedAt:
        value = self._tree.get("received_at", "collected")
        for choice in get_args(ReceivedAt):
            if value == choice:
                return choice
        self._report(
            ("received_at",),
            f"received_at 不能是{shown_value(value)}",
            "填 collected（按收取时间）或 modified（按文件时间）",
        )
        return "collected"

    # -- the parts against each other

    def _check_unique(self, section: str, key: str, label: str) -> None:
        # On the raw values, so that an entry refused for another reason still shows its doubled code.
        first_seen: dict[str, int | None] = {}
        for index, item in self._raw_entries(section):
            value = item.get(key)
            if value is None or isinstance(value, (CommentedMap, CommentedSeq)):
                continue
            text = str(value).strip().rstrip("/")
            if text in first_seen:
                # A source may hold what is better not repeated on a screen.
                shown = label if key == "source" else f"{label}“{text}”"
                self._report((section, index, key), f"{shown}与第 {first_seen[text]} 行重复", "改正或删去其中一条")
            else:
                first_seen[text] = self._line((section, index, key))

    def _check_prefix(self, city: City, counties: Mapping[int, County]) -> None:
        for index, county in counties.items():
            if not county.code.startswith(city.county_prefix):
                self._report(
                    ("counties", index, "code"),
                    f"{county.name}的代码 {county.code} 不在{city.name}（{city.code}）之下",
                    f"{city.name}各县区的代码以 {city.county_prefix} 开头，核对这一条，或核对 city 的 code",
                )

    def _check_successions(self, successions: Mapping[int, Succession], counties: Mapping[int, County]) -> None:
        """Who passes into whom agrees with when each county exists, on every day of the past and without a circle."""
        by_code = {county.code: county for county in counties.values()}
        known = {str(item.get("code")) for _, item in self._raw_entries("counties")}
        earlier: dict[tuple[str, date], int] = {}
        for index, succession in successions.items():
            at: Location = ("successors", index)
            day = succession.from_day
            county = by_code.get(succession.county)
            keeps_code = any(part.code == succession.county for part in succession.into)
            places: list[tuple[Location, str]] = [((*at, "county"), succession.county)]
            places += [((*at, "into", number, "code"), part.code) for number, part in enumerate(succession.into)]
            for place, code in places:
                if code not in known:
                    self._report(place, f"县区沿革里的“{code}”不在 counties 里", did_you_mean(code, sorted(known)))
            if (line_index := earlier.setdefault((succession.county, day), index)) != index:
                line = self._line(("successors", line_index))
                self._report(at, f"{succession.county} 在 {day} 的去向与第 {line} 行重复", "合并为一条")
            if keeps_code and len(succession.into) == 1:
                self._report(
                    (*at, "into"),
                    f"{succession.county} 的继承县区只有它自己",
                    "代码不变的更名不用写；拆分要列出其余县区",
                )
            elif county is not None and not keeps_code and county.valid_to != day:
                ends = "没有撤销日期" if county.valid_to is None else f"的撤销日期是 {county.valid_to}"
                self._report(
                    (*at, "from"),
                    f"{county.name}自 {day} 起由别的县区继承，但它{ends}，前后{_gap_or_overlap(county.valid_to, day)}",
                    f"把 {county.name}的 valid_to 与这里的 from 写成同一天",
                )
            elif county is not None and keeps_code and not (county.valid_from < day and county.valid_on(day)):
                self._report(
                    (*at, "from"), f"{county.name}在 {day} 前后并非都存在，不能分出别的县区", "核对 from 与它的有效期"
                )
            for number, part in enumerate(succession.into):
                heir = by_code.get(part.code)
                if heir is not None and part.code != succession.county and not heir.valid_on(day):
                    self._report(
                        (*at, "into", number, "code"),
                        f"{heir.name}在 {day} 不存在，接不上（有效期自 {heir.valid_from} 至 {heir.valid_to or '今'}）",
                        f"把 {heir.name}的 valid_from 改为 {day} 或更早，或核对 from",
                    )
        self._check_no_circle(successions)

    def _check_no_circle(self, successions: Mapping[int, Succession]) -> None:
        following: dict[str, set[str]] = {}
        for succession in successions.values():
            heirs = {part.code for part in succession.into} - {succession.county}
            following.setdefault(succession.county, set()).update(heirs)
        for index, succession in successions.items():
            reached: set[str] = set()
            ahead = set(following[succession.county])
            while ahead:
                reached |= ahead
                ahead = set().union(*(following.get(code, set()) for code in ahead)) - reached
            if succession.county in reached:
                self._report(
                    ("successors", index),
                    f"{succession.county} 的继承县区绕了一圈又回到它自己",
                    "核对各条的 county 与 into",
                )

    def _check_references(self, references: Mapping[int, Reference]) -> None:
        for index, reference in references.items():
            if reference.name not in self._references:
                self._report(
                    ("references", index, "name"),
                    f"不认识的外部参照“{reference.name}”",
                    did_you_mean(reference.name, self._references),
                )

    def _check_calendar(self, calendar: Mapping[int, CalendarEntry]) -> None:
        earlier: list[tuple[int, CalendarEntry]] = []
        for index, entry in calendar.items():
            at: Location = ("calendar", index)
            period_types = self._returns.get(entry.return_code)
            if period_types is None:
                self._report(
                    (*at, "return"),
                    f"不认识的报表“{entry.return_code}”",
                    did_you_mean(entry.return_code, self._returns),
                )
            elif entry.first_period.type not in period_types:
                self._report(
                    (*at, "first_period"),
                    f"报表 {entry.return_code} 不按{entry.first_period.type.label}报送",
                    f"改用它的报告期：{listed(_PERIOD_EXAMPLES[period_type] for period_type in period_types)}",
                )
            for earlier_index, other in earlier:
                if (
                    other.return_code == entry.return_code
                    and other.first_period.start <= entry.last_period.end
                    and entry.first_period.start <= other.last_period.end
                ):
                    self._report(
                        at,
                        f"报表 {entry.return_code} 的报告期与第 {self._line(('calendar', earlier_index))} 行的一条重叠",
                        "改 first_period、last_period，使同一时间只有一条",
                    )
            earlier.append((index, entry))

    def _check_own_folders(self, counties: Mapping[int, County], references: Mapping[int, Reference]) -> None:
        """Nothing is collected from the folders in which we keep our own, and nothing is written into them on a
        county's behalf."""
        home = Path(self._file).parent.resolve()
        places: list[tuple[Location, str, str, str]] = []
        for index, county in counties.items():
            places.append((("counties", index, "source"), f"{county.name}的来源", county.source, county.code))
            if county.outbox is not None:
                to = f"{county.name}的回执文件夹"
                places.append((("counties", index, "outbox"), to, county.outbox, f"{county.code}-回执"))
        for index, reference in references.items():
            whose = f"外部参照 {reference.name} 的来源"
            places.append((("references", index, "source"), whose, reference.source, ""))
        for at, whose, address, folder in places:
            place = local_place(address, home)
            if place is None:
                continue
            own = next((name for name in OWN_FOLDERS if is_within(place, str((home / name).resolve()))), None)
            outer = "counties" if folder else "references"
            remedy = f"改为专用的文件夹，如 {outer}/{folder}".rstrip("/")
            if own:
                self._report(at, f"{whose}“{address}”在本系统自己的 {own}/ 之内，那里只由本系统存放文件", remedy)
            elif is_within(str(home), place) or any(
                is_within(str((home / name).resolve()), place) for name in OWN_FOLDERS
            ):
                self._report(at, f"{whose}“{address}”是本系统所在的文件夹或它的外层，原件和指标库也在其中", remedy)

    def _check_outboxes(self, counties: Mapping[int, County], references: Mapping[int, Reference]) -> None:
        """What goes back to a county is collected from nowhere, and lies where no other county looks."""
        outboxes = [(index, county, county.outbox) for index, county in counties.items() if county.outbox is not None]
        if not outboxes:
            return  # nor is a folder then asked where its links lead
        home = Path(self._file).parent
        entries: list[County | Reference] = [*counties.values(), *references.values()]
        sources = [(entry, place_of(entry.source, home)) for entry in entries]
        earlier: list[tuple[int, County, str]] = []
        for index, county, outbox in outboxes:
            at: Location = ("counties", index, "outbox")
            place = place_of(outbox, home)
            for entry, source in sources:
                if is_within(place, source):
                    relation, harm = "之内", "发回的文件会被当作报送件收进来"
                elif is_within(source, place):
                    relation, harm = "的外层", "发回的文件与报送件混在一起"
                else:
                    continue
                self._report(
                    at,
                    f"{county.name}的回执文件夹“{outbox}”在{entry.name}的来源“{entry.source}”{relation}，{harm}",
                    "把 outbox 设在各来源文件夹之外，如与来源并列",
                )
                break
            for other_index, other, other_place in earlier:
                if is_within(place, other_place) or is_within(other_place, place):
                    line = self._line(("counties", other_index, "outbox"))
                    self._report(
                        at,
                        f"{county.name}的回执文件夹“{outbox}”与第 {line} 行{other.name}的重合或互相包含，会看到对方的回执",
                        "给每个县区单独设一个 outbox，互不包含",
                    )
                    break
            earlier.append((index, county, place))

    def _raw_entries(self, section: str) -> Iterator[tuple[int, CommentedMap]]:
        value = self._tree.get(section)
        if isinstance(value, CommentedSeq):
            for index, item in enumerate(value):
                if isinstance(item, CommentedMap):
                    yield index, item


def _gap_or_overlap(valid_to: date | None, day: date) -> str:
    return "脱节" if valid_to is not None and valid_to < day else "重叠"


_PERIOD_EXAMPLES: Mapping[str, str] = {
    "school_year": "学年（如 2024-2025）",
    "semester": "学期（如 2024-2025S1）",
    "calendar_year": "年度（如 2024）",
    "quarter": "季度（如 2024Q3）",
    "month": "月度（如 2024-03）",
}
