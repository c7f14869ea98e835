"""The municipality as configuration: what stands in a home's ``municipality.yaml``, and the refusal of a wrong one.

Belongs here: the models of city, counties, references, reporting calendar, publishing threshold and limits;
the loader, which reports every mistake at once with file, line and remedy; the filings that the calendar expects.
Does not belong here: what a return is (``pipelines/returns``; the loader is told the codes and period types),
fetching from a source, or writing the control tables.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipelines.files import replace_file
from pipelines.periods import Period, parse_period, periods_between
from pipelines.yaml_mistakes import Location, Problem, YamlMistakes, YamlTree, did_you_mean, listed

# The references that a screener exists for; a name outside it would be collected by nobody.
KNOWN_REFERENCES = ("census_2020",)

ReceivedAt = Literal["modified", "collected"]


class ConfigurationError(YamlMistakes):
    """The configuration cannot be used."""


# --- the models ------------------------------------------------------------------------------------------------------


def _refuse(message: str, remedy: str) -> NoReturn:
    """Fail a pydantic validation with our own words."""
    raise PydanticCustomError("refused", "{message}", {"message": message, "remedy": remedy})


def _shown(value: object) -> str:
    return "空值" if value is None else f"“{value}”"


def _as_code(value: object) -> str:
    # 140902 without quotes is an int to YAML; nothing is lost, since no area code begins with 0.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[1-9][0-9]{5}", text):
        _refuse(f"{_shown(value)}不是 6 位行政区划代码", '按 GB/T 2260 填 6 位半角数字，如 code: "140902"')
    return text


def _as_date(value: object) -> date:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    _refuse(f"{_shown(value)}不是有效日期", "写成 年-月-日，如 1983-01-01，并确认该月有这一天")


def _as_period(value: object) -> Period:
    # 2024 without quotes is an int to YAML, and a calendar year to us.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        return parse_period(text if isinstance(text, str) else "")
    except ValueError:
        _refuse(
            f"{_shown(value)}不是报告期代码",
            "学年写 2024-2025，年度写 2024，季度写 2024Q3，月度写 2024-03",
        )


def _as_source(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        _refuse(f"{_shown(value)}不是来源地址", "填文件夹路径或 URI，如 counties/140902 或 sftp://主机/目录")
    source = value.strip()
    password = re.search(r"://[^/@:]*:([^/@]+)@", source)
    if password and not re.fullmatch(r"(?:\$\{\w+\})+", password[1]):
        _refuse("来源地址里写有密码", "把密码放进环境变量，此处写 ${变量名}")
    if "$" in re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", "", source):
        _refuse(f"“{source}”里的环境变量写法不对", "写成 ${变量名}，变量名用英文字母、数字和下划线")
    # Behind ${...} the protocol may itself be a variable: it is then known only when expanded.
    unknown = [] if source.startswith("$") else [name for name in _protocols(source) if name not in _known_protocols()]
    if unknown:
        _refuse(f"不认识的来源协议“{unknown[0]}”", did_you_mean(unknown[0], _known_protocols()))
    return source


def _as_host_keys(value: object) -> tuple[str, ...]:
    found = []
    for one in value if isinstance(value, list) else [value]:
        text = one.strip().rstrip("=") if isinstance(one, str) else ""
        if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text):
            _refuse(
                f"{_shown(one)}不是主机密钥的指纹",
                '写成 "SHA256:…"（SHA256 后 43 个字符，加引号），由对方管理员用 ssh-keygen -lf 得出；有几个的写成列表',
            )
        found.append(text)
    return tuple(found)


def _protocols(source: str) -> list[str]:
    links = source.split("::")
    return [link.split("://")[0] for link in links if "://" in link] + [
        link for link in links[:-1] if "://" not in link
    ]


def _known_protocols() -> list[str]:
    import fsspec

    return list(fsspec.available_protocols())


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
AreaCode = Annotated[str, BeforeValidator(_as_code)]
Day = Annotated[date, PlainValidator(_as_date)]
PeriodCode = Annotated[Period, PlainValidator(_as_period)]
Source = Annotated[str, BeforeValidator(_as_source)]
HostKeys = Annotated[tuple[str, ...], BeforeValidator(_as_host_keys)]
PositiveInteger = Annotated[int, Field(strict=True, gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class _Area(_Entry):
    @model_validator(mode="before")
    @classmethod
    def _has_an_english_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("name_en") is None and data.get("name") is not None:
            return {**data, "name_en": data["name"]}
        return data


class City(_Area):
    """The municipality and its province, with GB/T 2260 codes."""

    code: AreaCode
    name: Name
    name_en: Name  # the name itself where none is given
    province_code: AreaCode
    province: Name

    @field_validator("code")
    @classmethod
    def _is_a_city(cls, code: str) -> str:
        if not code.endswith("00"):
            _refuse(f"“{code}”不是市级代码", "市级代码末两位为 00，如 140900")
        return code

    @field_validator("province_code")
    @classmethod
    def _is_the_citys_province(cls, province_code: str, info: ValidationInfo) -> str:
        if not province_code.endswith("0000"):
            _refuse(f"“{province_code}”不是省级代码", "省级代码末四位为 0000，如 140000")
        code = info.data.get("code")
        if code is not None and code[:2] != province_code[:2]:
            _refuse(f"市代码 {code} 不在省代码 {province_code} 之下", "核对两个代码的前两位")
        return province_code

    @property
    def county_prefix(self) -> str:
        """The digits that every county code of the city begins with: 4, or 2 in a city under central government."""
        return self.code[:2] if self.code.endswith("0000") else self.code[:4]


class County(_Area):
    """A reporting unit. It exists from ``valid_from`` on and no longer on ``valid_to``."""

    code: AreaCode
    name: Name
    name_en: Name  # the name itself where none is given
    valid_from: Day
    valid_to: Day | None = None
    source: Source
    outbox: Source | None = None
    host_keys: HostKeys = Field(default=(), alias="host_key")
    contact: Name | None = None

    @field_validator("code")
    @classmethod
    def _is_a_county(cls, code: str) -> str:
        if code.endswith("00"):
            _refuse(f"“{code}”是省、市级代码，不是县级代码", "填县（市、区）自己的 6 位代码")
        return code

    @field_validator("valid_to")
    @classmethod
    def _ends_after_it_begins(cls, valid_to: date | None, info: ValidationInfo) -> date | None:
        valid_from = info.data.get("valid_from")
        if valid_to is not None and valid_from is not None and valid_to <= valid_from:
            _refuse(
                f"撤销日期 {valid_to} 不晚于设立日期 {valid_from}",
                "valid_to 填撤并生效的那一天，须晚于 valid_from；仍存在的县删去 valid_to",
            )
        return valid_to

    def valid_on(self, day: date) -> bool:
        """Whether the county exists on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or self.valid_to > day)


class SuccessorPart(_Entry):
    """A county that takes over (part of) another. ``weight``: its part in what is taken over, such as the people living there."""

    code: AreaCode
    weight: PositiveInteger | None = None


class Succession(_Entry):
    """On the day ``from_day`` a county passes into others: into one (renamed, merged), or into several (split).

    A county that keeps its code and gives away part of its area stands among its own successors. Without weights a split
    cannot be recast backwards.
    """

    county: AreaCode
    into: tuple[SuccessorPart, ...]
    from_day: Annotated[Day, Field(alias="from")]

    @field_validator("into")
    @classmethod
    def _is_whole(cls, into: tuple[SuccessorPart, ...]) -> tuple[SuccessorPart, ...]:
        if not into:
            _refuse("没有写继承县区", "在 into 里至少写一个县区代码；没有继承县区的，删去这一条")
        codes = [part.code for part in into]
        if doubled := [code for code in codes if codes.count(code) > 1]:
            _refuse(f"继承县区“{doubled[0]}”写了两次", "每个县区只写一次，weight 合在一起")
        weighted = [part for part in into if part.weight is not None]
        if weighted and len(weighted) < len(into):
            _refuse(
                "有的继承县区写了 weight，有的没写", "各县区都写 weight（如划入的人口数），或都不写（拆分前不作换算）"
            )
        return into

    def shares(self) -> list[tuple[str, int | None, int | None, int]]:
        """(successor's code, its share's numerator, the numerator before it, the common denominator), in order of the codes.

        The parts tile the whole, so that what is apportioned adds up; (None, None, 1) where no weights are known.
        """
        parts = sorted(self.into, key=lambda part: part.code)
        weights: list[int | None] = [1] if len(parts) == 1 else [part.weight for part in parts]
        known = [weight for weight in weights if weight is not None]
        if len(known) < len(parts):
            return [(part.code, None, None, 1) for part in parts]
        factor = math.gcd(*known)
        reduced = [weight // factor for weight in known]
        return [
            (part.code, weight, sum(reduced[:index]), sum(reduced))
            for index, (part, weight) in enumerate(zip(parts, reduced, strict=True))
        ]


class Reference(_Entry):
    """An external data set the marts are checked against, such as ``census_2020``."""

    name: Name
    source: Source
    host_keys: HostKeys = Field(default=(), alias="host_key")


class Due(_Entry):
    """A filing is due ``days`` days after the first (``start``) or last (``end``) day of its period."""

    after: Literal["start", "end"]
    days: Annotated[int, Field(strict=True, ge=0, le=1000)]


class CalendarEntry(_Entry):
    """One return is due for every period from ``first_period`` to ``last_period``, both included."""

    return_code: Annotated[Name, Field(alias="return")]
    first_period: PeriodCode
    last_period: PeriodCode
    due: Due

    @field_validator("last_period")
    @classmethod
    def _ends_a_range(cls, last: Period, info: ValidationInfo) -> Period:
        first = info.data.get("first_period")
        if first is None:
            return last
        if first.type is not last.type:
            _refuse(
                f"first_period“{first}”是{first.type.label}，last_period“{last}”是{last.type.label}",
                "首尾两期用同一类报告期",
            )
        if first > last:
            _refuse(f"首期 {first} 晚于末期 {last}", "对调两者，或改正其中之一")
        return last

    def periods(self) -> list[Period]:
        """The periods of the entry in order."""
        return periods_between(self.first_period, self.last_period)

    def due_on(self, period: Period) -> date:
        """The last day on which a filing for ``period`` is on time."""
        return (period.start if self.due.after == "start" else period.end) + timedelta(days=self.due.days)


def _as_schema(value: object) -> str:
    # PostgreSQL keeps 63 bytes of a name, and a number may be put behind this one.
    if not isinstance(value, str) or not re.fullmatch(r"[^\W\d]\w*", value) or len(value.encode()) > 50:
        _refuse(f"{_shown(value)}不能作模式名", "用字母、汉字、数字和下划线，不以数字开头，不超过 16 个汉字")
    if value.startswith("pg_") or value in ("public", "information_schema"):
        _refuse(f"模式“{value}”归 PostgreSQL 或他人使用，发布时会整体替换", "另起一个名字，如 marts")
    return value


def _as_variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        # Perhaps it is the password: not repeated.
        _refuse("不是环境变量的名字", "填变量的名字，不是口令，如 XIANBAO_PG_PASSWORD")
    return value


Schema = Annotated[str, BeforeValidator(_as_schema)]
Variable = Annotated[str, BeforeValidator(_as_variable)]


class Postgres(_Entry):
    """A PostgreSQL database that gets a copy of every release. The password is never here: it comes from the environment."""

    host: Name
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 5432
    database: Name
    user: Name
    password_variable: Variable | None = None
    marts_schema: Schema = "marts"
    chinese_schema: Schema = "指标"
    reader_role: Name | None = None

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if re.search(r"[@=\s]|://", host):
            _refuse("host 只填主机名、地址或套接字所在的文件夹", "用户、数据库各填一项，口令放进环境变量")
        return host

    @field_validator("chinese_schema")
    @classmethod
    def _is_a_schema_of_its_own(cls, chinese_schema: str, info: ValidationInfo) -> str:
        if chinese_schema == info.data.get("marts_schema"):
            _refuse("chinese_schema 与 marts_schema 相同", "英文表和中文视图各用一个模式")
        return chinese_schema


class Publish(_Entry):
    """When the municipal figure is withheld: coverage (counties counted ÷ expected) under ``withhold_below``. Of how many of the
    newest releases the file is kept, and of how many months that of the last release. Counts of persons under ``suppress_below``
    are hidden from the public."""

    withhold_below: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.5")
    suppress_below: Annotated[int, Field(strict=True, ge=2)] = 5
    keep_releases: PositiveInteger = 10
    keep_months: PositiveInteger = 12
    postgres: Postgres | None = None


class Limits(_Entry):
    """What one submission may cost before it is refused, how long a file must rest before it is collected, and how much is kept of
    the history of runs (about 2 MB each).

    `seconds`, `county_seconds`, `batch_seconds`: of the processor's time, for one file, for one county's files in a run, and for all.
    """

    file_mebibytes: PositiveInteger = 200
    cells: PositiveInteger = 2_000_000
    seconds: PositiveInteger = 60
    memory_mebibytes: PositiveInteger = 2048
    characters: PositiveInteger = 20_000_000
    county_seconds: PositiveInteger = 60
    batch_seconds: PositiveInteger = 900
    source_seconds: PositiveInteger = 300
    settle_seconds: Annotated[float, Field(strict=True, ge=0, le=3600, allow_inf_nan=False)] = 0.5
    history_days: PositiveInteger = 90
    history_runs: PositiveInteger = 500


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """One return is due for one period."""

    return_code: str
    period: Period
    due_on: date


@dataclass(frozen=True, slots=True)
class ExpectedFiling:
    """One county owes one return for one period."""

    return_code: str
    county_code: str
    period: Period
    due_on: date


class Municipality(_Entry):
    """A whole ``municipality.yaml``; made by ``load_municipality``, which also checks its parts against each other."""

    city: City
    received_at: ReceivedAt = "collected"
    counties: tuple[County, ...]
    successors: tuple[Succession, ...] = ()
    references: tuple[Reference, ...] = ()
    calendar: tuple[CalendarEntry, ...]
    publish: Publish = Publish()
    limits: Limits = Limits()

    _file: str = PrivateAttr(default="municipality.yaml")
    _source_lines: dict[str, int] = PrivateAttr(default_factory=dict)

    def county(self, code: str) -> County:
        """The county with this GB/T 2260 code. Raises KeyError when the municipality has none."""
        for county in self.counties:
            if county.code == code:
                return county
        raise KeyError(code)

    def source_uri(self, entry: County | Reference, home: Path) -> str:
        """Where the entry's files lie: a URI as configured, or the absolute path of a folder under ``home``.

        ``${NAME}`` is replaced by the environment variable. Raises ConfigurationError when it is not set; the
        message holds the variable's name, never a value.
        """
        return self._expanded(entry, entry.source, home)

    def outbox_uri(self, county: County, home: Path) -> str | None:
        """Where the county's receipts go besides the home's own folder, None when nowhere; otherwise as ``source_uri``."""
        return None if county.outbox is None else self._expanded(county, county.outbox, home)

    def _expanded(self, entry: County | Reference, place: str, home: Path) -> str:
        missing = [name for name in _VARIABLE.findall(place) if not os.environ.get(name)]
        if missing:
            what = "来源" if place == entry.source else "回执文件夹"
            raise ConfigurationError(
                Problem(
                    self._file,
                    self._source_lines.get(entry.source),
                    f"{entry.name}的{what}要用环境变量 {name}，但它没有设置或为空",
                    f"在运行本系统的环境里设置 {name} 后再运行",
                )
                for name in dict.fromkeys(missing)
            )
        expanded = _VARIABLE.sub(lambda match: os.environ[match[1]], place)
        if "://" in expanded or "::" in expanded:
            return expanded
        # Not resolved: a link may be moved later, and the path is told to people as they wrote it.
        return os.path.abspath(home / Path(expanded).expanduser())  # noqa: PTH100

    def calendar_rows(self) -> list[CalendarRow]:
        """Every (return, period) that is due, in the order of the calendar, then of time."""
        return [
            CalendarRow(entry.return_code, period, entry.due_on(period))
            for entry in self.calendar
            for period in entry.periods()
        ]

    def expected_filings(self, reference_on: Callable[[str, Period], date]) -> list[ExpectedFiling]:
        """Every filing owed: each calendar row for each county that exists on the day which `reference_on` gives for the return and
        period."""
        return [
            ExpectedFiling(row.return_code, county.code, row.period, row.due_on)
            for row in self.calendar_rows()
            for county in self.counties
            if county.valid_on(reference_on(row.return_code, row.period))
        ]

    def passed_into(self, county: County) -> tuple[str, ...]:
        """Codes of the counties that a county passed into on the day from which it no longer exists."""
        return tuple(
            part.code
            for succession in self.successors
            if succession.county == county.code and succession.from_day == county.valid_to
            for part in succession.into
        )

    def came_from(self, county: County) -> tuple[str, ...]:
        """Codes of the counties that a county was made of on the day from which it exists."""
        return tuple(
            succession.county
            for succession in self.successors
            if succession.from_day == county.valid_from and county.code in {part.code for part in succession.into}
        )


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


# --- loading ---------------------------------------------------------------------------------------------------------

EntryType = TypeVar("EntryType", bound=_Entry)


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
            f"received_at 不能是{_shown(value)}",
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
        """Nothing is collected from the folders in which we keep our own, and nothing is written into them on a county's behalf."""
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
            place = _local_place(address, home)
            if place is None:
                continue
            own = next((name for name in _OWN_FOLDERS if _is_within(place, str((home / name).resolve()))), None)
            outer = "counties" if folder else "references"
            remedy = f"改为专用的文件夹，如 {outer}/{folder}".rstrip("/")
            if own:
                self._report(at, f"{whose}“{address}”在本系统自己的 {own}/ 之内，那里只由本系统存放文件", remedy)
            elif _is_within(str(home), place) or any(
                _is_within(str((home / name).resolve()), place) for name in _OWN_FOLDERS
            ):
                self._report(at, f"{whose}“{address}”是本系统所在的文件夹或它的外层，原件和指标库也在其中", remedy)

    def _check_outboxes(self, counties: Mapping[int, County], references: Mapping[int, Reference]) -> None:
        """What goes back to a county is collected from nowhere, and lies where no other county looks."""
        outboxes = [(index, county, county.outbox) for index, county in counties.items() if county.outbox is not None]
        if not outboxes:
            return  # nor is a folder then asked where its links lead
        home = Path(self._file).parent
        entries: list[County | Reference] = [*counties.values(), *references.values()]
        sources = [(entry, _place(entry.source, home)) for entry in entries]
        earlier: list[tuple[int, County, str]] = []
        for index, county, outbox in outboxes:
            at: Location = ("counties", index, "outbox")
            place = _place(outbox, home)
            for entry, source in sources:
                if _is_within(place, source):
                    relation, harm = "之内", "发回的文件会被当作报送件收进来"
                elif _is_within(source, place):
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
                if _is_within(place, other_place) or _is_within(other_place, place):
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


def _place(address: str, home: Path) -> str:
    """Where an address leads, so that two addresses of one folder are equal: links followed, ``..`` and ``//`` gone, no password.

    A variable that is not set stays as it is written: the address is compared again when it is.
    """
    text = _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], address)
    links = text.split("::")
    while len(links) > 1 and "cache" in links[0]:
        links.pop(0)  # a cache before an address leads to the same place
    protocol, separator, rest = links[-1].partition("://")
    if len(links) == 1 and (not separator or protocol in ("file", "local")):
        return str((home / Path(rest if separator else text).expanduser()).resolve())
    host, _, path = rest.partition("/")
    user, sign, server = host.rpartition("@")
    host = f"{user.partition(':')[0]}{sign}{server.lower()}"
    folder = posixpath.normpath("/" + path.lstrip("/")).rstrip("/")
    return "::".join([*links[:-1], f"{protocol}://{host}{folder}"])


#: What a home keeps for itself: what cannot be computed again, and what can.
_OWN_FOLDERS = ("raw", "warehouse")


def _local_place(address: str, home: Path) -> str | None:
    """The folder of this machine that an address leads to, whatever stands before it (``dir::``, ``file://``); None: it leads elsewhere."""
    text = _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], address)
    protocol, separator, rest = text.split("::")[-1].partition("://")
    if separator and protocol.lower() not in ("file", "local", "dir"):
        return None
    return str((home / Path(rest if separator else protocol).expanduser()).resolve())


def _is_within(inner: str, outer: str) -> bool:
    """Whether a place is another or lies in it."""
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")


_PERIOD_EXAMPLES: Mapping[str, str] = {
    "school_year": "学年（如 2024-2025）",
    "calendar_year": "年度（如 2024）",
    "quarter": "季度（如 2024Q3）",
    "month": "月度（如 2024-03）",
}

# --- the template ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewArea:
    """A city or county as it is written down for the first time."""

    code: str
    name: str
    name_en: str | None = None


@dataclass(frozen=True)
class NewCalendarEntry:
    """One return of a calendar as it is written down for the first time; `title` stands above it as a comment."""

    return_code: str
    title: str
    first_period: Period
    last_period: Period
    after: Literal["start", "end"]
    days: int


def write_template(
    path: Path,
    *,
    city: NewArea,
    province: NewArea,
    counties: Sequence[NewArea],
    calendar: Sequence[NewCalendarEntry],
    command: str,
    force: bool = False,
    received_at: ReceivedAt = "collected",
    references: Mapping[str, str] | None = None,
) -> None:
    """Write a commented ``municipality.yaml`` to ``path``, whole or not at all; ``command``: what wrote it, as its head says.

    ``references`` (name → source) stand in it as external references. Raises ConfigurationError when the file is
    there already (unless ``force``) or cannot be written.
    """
    if path.exists() and not force:
        raise ConfigurationError(
            [Problem(str(path), None, "配置文件已经存在，没有覆盖", "直接修改它；确要重来，加 --force 再运行一次")]
        )
    example = counties[0] if counties else NewArea("县区代码", "县区名称")
    said = {
        "name": city.name,
        "command": command,
        "city": "city:\n" + _area_lines(city, "  ")
        + f'\n  province_code: "{province.code}"\n  province: {_scalar(province.name)}',
        "received_at": received_at,
        "folder": f"counties/{example.code}",
        "county": example.name,
        "counties": _county_lines(counties),
        "references": "references:\n" + "\n".join(
            f"  - name: {name}\n    source: {_scalar(source)}" for name, source in references.items()
        ) if references else "references: []",
        "calendar": "calendar:\n" + "\n\n".join(map(_calendar_lines, calendar)),
    }  # fmt: skip
    text = resources.files("pipelines").joinpath("municipality_template.yaml").read_text(encoding="utf-8")
    try:
        replace_file(path, re.sub(r"@([a-z_]+)@", lambda match: said[match[1]], text).encode())
    except OSError as error:
        raise ConfigurationError(
            [
                Problem(
                    str(path), None, f"配置文件写不进去（{error.strerror}）", "换一个可写的目录，或检查权限和磁盘空间"
                )
            ]
        ) from None


def _scalar(text: str) -> str:
    """Text as YAML reads it back, whatever it holds; plain where that is the same."""
    plain = re.fullmatch(r"[\w（）()][\w（）() -]*", text) and not re.fullmatch(
        r"[\d_.]+|(?i:y|n|yes|no|on|off|true|false|null)", text
    )
    return text if plain else "'" + text.replace("'", "''") + "'"


def _area_lines(area: NewArea, indent: str) -> str:
    lines = [f'code: "{area.code}"', f"name: {_scalar(area.name)}"]
    lines += [f"name_en: {_scalar(area.name_en)}"] if area.name_en else []
    return "\n".join(indent + line for line in lines)


def _county_lines(counties: Sequence[NewArea]) -> str:
    if not counties:
        return (
            "counties: []\n"
            "# 一个县区一条，例如：\n"
            '#   - code: "县区代码"\n'
            "#     name: 县区名称\n"
            "#     valid_from: 1983-01-01\n"
            "#     source: counties/县区代码"
        )
    entries = []
    for number, county in enumerate(counties):
        entry = (
            "  -"
            + _area_lines(county, "    ")[3:]
            + f"\n    valid_from: 1983-01-01\n    source: counties/{county.code}"
        )
        if not number:
            entry += (
                f"\n    # outbox: counties/{county.code}-回执\n    # contact: {county.name}教育局发展规划股"
                "\n    # valid_to: 2030-01-01"
            )
        entries.append(entry)
    return "counties:\n" + "\n\n".join(entries)


def _calendar_lines(entry: NewCalendarEntry) -> str:
    first, last = (_period_scalar(period) for period in (entry.first_period, entry.last_period))
    return (
        f"  # {entry.title}，按{entry.first_period.type.label}\n  - return: {entry.return_code}\n    first_period: {first}\n"
        f"    last_period: {last}\n    due: {{after: {entry.after}, days: {entry.days}}}"
    )


def _period_scalar(period: Period) -> str:
    # A year without quotes is a number to YAML.
    return f'"{period.code}"' if period.code.isdigit() else period.code
