"""A municipality's configuration written for the first time, commented, from `template.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from pipelines.files import replace_file
from pipelines.municipality.model import ReceivedAt
from pipelines.municipality.problems import ConfigurationError
from pipelines.periods import Period
from pipelines.yaml_mistakes import Problem


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
    """Write a commented ``municipality.yaml`` to ``path``, whole or not at all; ``command``: what wrote it, as its head
    says.

    ``references`` (name → source) stand in it as external references. Raises ConfigurationError when the file is there
    already (unless ``force``) or cannot be written.
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
    text = resources.files(__package__).joinpath("template.yaml").read_text(encoding="utf-8")
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
