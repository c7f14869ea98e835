"""The models of a configuration: city, counties, references, reporting calendar, publishing threshold and limits.

Belongs here: what each part may hold, and the filings that the calendar expects. Not here: what a return is, fetching
from a source, or writing the control tables.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

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

from pipelines.municipality.addresses import VARIABLE, known_protocols, protocols
from pipelines.municipality.problems import ConfigurationError, refused, shown_value
from pipelines.periods import Period, parse_period, periods_between
from pipelines.yaml_mistakes import Problem, did_you_mean

ReceivedAt = Literal["modified", "collected"]


def _as_code(value: object) -> str:
    # 140902 without quotes is an int to YAML; nothing is lost, since no area code begins with 0.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[1-9][0-9]{5}", text):
        raise refused(f"{shown_value(value)}不是 6 位行政区划代码", '按 GB/T 2260 填 6 位半角数字，如 code: "140902"')
    return text


def _as_date(value: object) -> date:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise refused(f"{shown_value(value)}不是有效日期", "写成 年-月-日，如 1983-01-01，并确认该月有这一天")


def _as_period(value: object) -> Period:
    # 2024 without quotes is an int to YAML, and a calendar year to us.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        return parse_period(text if isinstance(text, str) else "")
    except ValueError:
        raise refused(
            f"{shown_value(value)}不是报告期代码",
            "学年写 2024-2025，年度写 2024，季度写 2024Q3，月度写 2024-03",
        ) from None


def _as_source(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refused(f"{shown_value(value)}不是来源地址", "填文件夹路径或 URI，如 counties/140902 或 sftp://主机/目录")
    source = value.strip()
    password = re.search(r"://[^/@:]*:([^/@]+)@", source)
    if password and not re.fullmatch(r"(?:\$\{\w+\})+", password[1]):
        raise refused("来源地址里写有密码", "把密码放进环境变量，此处写 ${变量名}")
    if "$" in re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", "", source):
        raise refused(f"“{source}”里的环境变量写法不对", "写成 ${变量名}，变量名用英文字母、数字和下划线")
    # Behind ${...} the protocol may itself be a variable: it is then known only when expanded.
    unknown = [] if source.startswith("$") else [name for name in protocols(source) if name not in known_protocols()]
    if unknown:
        raise refused(f"不认识的来源协议“{unknown[0]}”", did_you_mean(unknown[0], known_protocols()))
    return source


def _as_host_keys(value: object) -> tuple[str, ...]:
    found = []
    for one in value if isinstance(value, list) else [value]:
        text = one.strip().rstrip("=") if isinstance(one, str) else ""
        if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text):
            raise refused(
                f"{shown_value(one)}不是主机密钥的指纹",
                '写成 "SHA256:…"（SHA256 后 43 个字符，加引号），由对方管理员用 ssh-keygen -lf 得出；有几个的写成列表',
            )
        found.append(text)
    return tuple(found)


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
AreaCode = Annotated[str, BeforeValidator(_as_code)]
Day = Annotated[date, PlainValidator(_as_date)]
PeriodCode = Annotated[Period, PlainValidator(_as_period)]
Source = Annotated[str, BeforeValidator(_as_source)]
HostKeys = Annotated[tuple[str, ...], BeforeValidator(_as_host_keys)]
PositiveInteger = Annotated[int, Field(strict=True, gt=0)]


class Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class _Area(Entry):
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
            raise refused(f"“{code}”不是市级代码", "市级代码末两位为 00，如 140900")
        return code

    @field_validator("province_code")
    @classmethod
    def _is_the_citys_province(cls, province_code: str, info: ValidationInfo) -> str:
        if not province_code.endswith("0000"):
            raise refused(f"“{province_code}”不是省级代码", "省级代码末四位为 0000，如 140000")
        code = info.data.get("code")
        if code is not None and code[:2] != province_code[:2]:
            raise refused(f"市代码 {code} 不在省代码 {province_code} 之下", "核对两个代码的前两位")
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
            raise refused(f"“{code}”是省、市级代码，不是县级代码", "填县（市、区）自己的 6 位代码")
        return code

    @field_validator("valid_to")
    @classmethod
    def _ends_after_it_begins(cls, valid_to: date | None, info: ValidationInfo) -> date | None:
        valid_from = info.data.get("valid_from")
        if valid_to is not None and valid_from is not None and valid_to <= valid_from:
            raise refused(
                f"撤销日期 {valid_to} 不晚于设立日期 {valid_from}",
                "valid_to 填撤并生效的那一天，须晚于 valid_from；仍存在的县删去 valid_to",
            )
        return valid_to

    def valid_on(self, day: date) -> bool:
        """Whether the county exists on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or self.valid_to > day)


class SuccessorPart(Entry):
    """A county that takes over (part of) another. ``weight``: its part in what is taken over, such as the people living
    there."""

    code: AreaCode
    weight: PositiveInteger | None = None


class Succession(Entry):
    """On the day ``from_day`` a county passes into others: into one (renamed, merged), or into several (split).

    A county that keeps its code and gives away part of its area stands among its own successors. Without weights a
    split cannot be recast backwards.
    """

    county: AreaCode
    into: tuple[SuccessorPart, ...]
    from_day: Annotated[Day, Field(alias="from")]

    @field_validator("into")
    @classmethod
    def _is_whole(cls, into: tuple[SuccessorPart, ...]) -> tuple[SuccessorPart, ...]:
        if not into:
            raise refused("没有写继承县区", "在 into 里至少写一个县区代码；没有继承县区的，删去这一条")
        codes = [part.code for part in into]
        if doubled := [code for code in codes if codes.count(code) > 1]:
            raise refused(f"继承县区“{doubled[0]}”写了两次", "每个县区只写一次，weight 合在一起")
        weighted = [part for part in into if part.weight is not None]
        if weighted and len(weighted) < len(into):
            raise refused(
                "有的继承县区写了 weight，有的没写", "各县区都写 weight（如划入的人口数），或都不写（拆分前不作换算）"
            )
        return into

    def shares(self) -> list[tuple[str, int | None, int | None, int]]:
        """(successor's code, its share's numerator, the numerator before it, the common denominator), in order of the
        codes.

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


class Reference(Entry):
    """An external data set the marts are checked against, such as ``census_2020``."""

    name: Name
    source: Source
    host_keys: HostKeys = Field(default=(), alias="host_key")


class Due(Entry):
    """A filing is due ``days`` days after the first (``start``) or last (``end``) day of its period."""

    after: Literal["start", "end"]
    days: Annotated[int, Field(strict=True, ge=0, le=1000)]


class CalendarEntry(Entry):
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
            raise refused(
                f"first_period“{first}”是{first.type.label}，last_period“{last}”是{last.type.label}",
                "首尾两期用同一类报告期",
            )
        if first > last:
            raise refused(f"首期 {first} 晚于末期 {last}", "对调两者，或改正其中之一")
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
        raise refused(f"{shown_value(value)}不能作模式名", "用字母、汉字、数字和下划线，不以数字开头，不超过 16 个汉字")
    if value.startswith("pg_") or value in ("public", "information_schema"):
        raise refused(f"模式“{value}”归 PostgreSQL 或他人使用，发布时会整体替换", "另起一个名字，如 marts")
    return value


def _as_variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        # Perhaps it is the password: not repeated.
        raise refused("不是环境变量的名字", "填变量的名字，不是口令，如 XIANBAO_PG_PASSWORD")
    return value


Schema = Annotated[str, BeforeValidator(_as_schema)]
Variable = Annotated[str, BeforeValidator(_as_variable)]


class Postgres(Entry):
    """A PostgreSQL database that gets a copy of every release. The password is never here: it comes from the
    environment."""

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
            raise refused("host 只填主机名、地址或套接字所在的文件夹", "用户、数据库各填一项，口令放进环境变量")
        return host

    @field_validator("chinese_schema")
    @classmethod
    def _is_a_schema_of_its_own(cls, chinese_schema: str, info: ValidationInfo) -> str:
        if chinese_schema == info.data.get("marts_schema"):
            raise refused("chinese_schema 与 marts_schema 相同", "英文表和中文视图各用一个模式")
        return chinese_schema


class Publish(Entry):
    """When the municipal figure is withheld: coverage (counties counted ÷ expected) under ``withhold_below``. Of how
    many of the newest releases the file is kept, and of how many months that of the last release. Counts of persons
    under ``suppress_below`` are hidden from the public. ``require_policy``: nothing is published while a row of policy in force is
    a sample."""

    withhold_below: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.5")
    suppress_below: Annotated[int, Field(strict=True, ge=2)] = 5
    keep_releases: PositiveInteger = 10
    keep_months: PositiveInteger = 12
    require_policy: Annotated[bool, Field(strict=True)] = False
    postgres: Postgres | None = None


class Limits(Entry):
    """What one submission may cost before it is refused, how long a file must rest before it is collected, and how much
    is kept of the history of runs (about 2 MB each).

    `seconds`, `county_seconds`, `batch_seconds`: of the processor's time, for one file, for one county's files in a
    run, and for all.
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


@dataclass(frozen=True)
class CountyName:
    """What is known of a county besides its files. It exists from `valid_from` on and no longer on `valid_to`; None: as
    far as is known.

    `passed_into`, `came_from`: codes of the counties that it became when it ended, and that it was made of.
    """

    code: str
    name: str
    valid_from: date | None = None
    valid_to: date | None = None
    passed_into: tuple[str, ...] = ()
    came_from: tuple[str, ...] = ()

    def valid_on(self, day: date) -> bool:
        """Whether the county exists on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


class Municipality(Entry):
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

    def county_name(self, county: County) -> CountyName:
        """What the county is called, from when to when it exists, and what it was before and became."""
        return CountyName(
            county.code,
            county.name,
            county.valid_from,
            county.valid_to,
            self.passed_into(county),
            self.came_from(county),
        )

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
        missing = [name for name in VARIABLE.findall(place) if not os.environ.get(name)]
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
        expanded = VARIABLE.sub(lambda match: os.environ[match[1]], place)
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
        """Every filing owed: each calendar row for each county that exists on the day which `reference_on` gives for
        the return and period."""
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
