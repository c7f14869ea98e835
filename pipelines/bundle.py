"""The rule bundle: one small zip from which a county checks its files before it sends them, without a home and offline.

    bundle.json            format, city, counties (code, name, life), calendar periods, limits, version of the rule set
    definitions/*.yaml     the returns, byte for byte
    expectations/*.yaml    the rules, byte for byte

Belongs here: writing a bundle, and opening one. It holds nothing of a source, a contact or a decision. A bundle travels, so what
is opened is not trusted: few members of known names, bounded sizes, no aliases in YAML; a rule names a kind of check that the program
itself has, and nothing in it is evaluated.
"""

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken

from pipelines.municipality import CountyName
from pipelines.periods import parse_period
from pipelines.returns import all_definitions, current_definitions
from pipelines.rule_files import catalogue_files, definition_files, rules_from
from pipelines.screening.rules import Rule, cell_states, file_rules, rule_set_version, suite
from pipelines.screening.settings import ScreenSettings
from pipelines.workbooks.archives import Unsafe, damage, open_archive
from pipelines.workbooks.bounded import ReadLimits
from pipelines.yaml_files import bounded
from pipelines.yaml_mistakes import YamlMistakes

#: The name under which a bundle is found beside the files to check.
BUNDLE_NAME = "xianbao-rules.zip"
_MANIFEST = "bundle.json"
_MEMBER = re.compile(r"bundle\.json|definitions/[a-z0-9_]+\.v[0-9]{1,3}\.yaml|expectations/[a-z0-9_]+\.yaml")
_MAX_BUNDLE_BYTES, _MAX_MEMBER_BYTES, _MAX_MEMBERS = 4 << 20, 1 << 20, 300
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


class BundleDamaged(Exception):
    """The bundle cannot be used; the message says why and what to do (Chinese)."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: whose it is, which rules it holds, and what screening is told."""

    city_name: str
    rule_set_version: str
    settings: ScreenSettings


def _is_period(code: str) -> str:
    return parse_period(code).code


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Area(_Plain):
    code: str = Field(pattern=r"^[1-9][0-9]{5}$")
    name: str = Field(min_length=1, max_length=100)


class _County(_Area):
    """A county with its life, as `CountyName`."""

    valid_from: date | None = None
    valid_to: date | None = None
    passed_into: tuple[str, ...] = ()
    came_from: tuple[str, ...] = ()


class _Limits(_Plain):
    file_bytes: int = Field(gt=0, le=1 << 32)
    cells: int = Field(gt=0, le=100_000_000)
    seconds: float = Field(gt=0, le=3600)
    memory_bytes: int = Field(gt=0, le=1 << 36)
    characters: int = Field(default=ReadLimits.characters, gt=0, le=1 << 32)


class _Manifest(_Plain):
    format: Literal["xianbao-rules"]
    format_version: Literal[1]
    rule_set_version: str = Field(pattern=r"^[0-9a-f]{12}$")
    city: _Area
    counties: tuple[_County, ...] = Field(min_length=1, max_length=500)
    periods: dict[str, tuple[Annotated[str, AfterValidator(_is_period)], ...]]
    limits: _Limits


def bundle_bytes(city_code: str, city_name: str, settings: ScreenSettings) -> bytes:
    """The bundle of a municipality with the rules in use; the same rules and configuration give the same bytes.

    Raises CatalogueError or ValueError when a rule cannot be used: better here than at every county.
    """
    members = {
        _MANIFEST: json.dumps(
            {
                "format": "xianbao-rules",
                "format_version": 1,
                "rule_set_version": rule_set_version(),
                "city": {"code": city_code, "name": city_name},
                "counties": [
                    _County.model_validate(asdict(county)).model_dump(mode="json", exclude_defaults=True)
                    for county in settings.counties
                ],
                "periods": {code: sorted(periods) for code, periods in sorted(settings.periods.items())},
                "limits": settings.limits.__dict__,
            },
            ensure_ascii=False,
            indent=1,
        ).encode()
    }
    for kind, files in (("definitions", definition_files()), ("expectations", catalogue_files())):
        members |= {f"{kind}/{path.name}": path.read_bytes() for path in files}
    for code in current_definitions():
        _check_words(suite(code).rules.values())
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if not _MEMBER.fullmatch(name):
                raise ValueError(f"{name}: a bundle cannot carry a file of this name")
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return target.getvalue()


@contextmanager
def opened_bundle(path: Path) -> Iterator[Bundle]:
    """Inside, definitions and rules are those of the bundle. Raises BundleDamaged (also FileNotFoundError as such)."""
    members = _members(path)
    with tempfile.TemporaryDirectory(prefix="xianbao-rules-") as name:
        folder = Path(name)
        for kind in ("definitions", "expectations"):
            (folder / kind).mkdir()
        for member, content in members.items():
            if member != _MANIFEST:
                _refuse_aliases(member, content)
                (folder / member).write_bytes(content)
        with rules_from(folder):
            yield _understood(members)


def _members(path: Path) -> dict[str, bytes]:
    """The members by name, each read whole and no further than allowed."""
    if path.stat().st_size > _MAX_BUNDLE_BYTES:
        raise _damaged("文件过大，不是规则包")
    members: dict[str, bytes] = {}
    try:
        with open_archive(path) as archive:
            listed = archive.infolist()
            if len(listed) > _MAX_MEMBERS:
                raise _damaged("文件过多，不是规则包")
            for member in listed:
                if not _MEMBER.fullmatch(member.filename):
                    raise _damaged(f"含有规则包里不该有的文件“{member.filename[:60]!a}”")
                if member.flag_bits & 0x1:
                    raise _damaged("文件已加密")
                with archive.open(member) as stream:
                    content = stream.read(_MAX_MEMBER_BYTES + 1)
                if len(content) > _MAX_MEMBER_BYTES:
                    raise _damaged(f"“{member.filename}”过大")
                members[member.filename] = content
    except BundleDamaged:
        raise
    except Unsafe as unsafe:
        raise _damaged(unsafe.reason) from None
    except Exception as error:  # noqa: BLE001 - decompressors raise what they please
        raise _damaged(damage(error)) from None
    if _MANIFEST not in members:
        raise _damaged("不是规则包：缺少 bundle.json")
    return members


def _refuse_aliases(member: str, content: bytes) -> None:
    """An alias can make a small YAML file into a huge one; no definition of ours has any."""
    if not member.endswith(".yaml"):
        return
    try:
        bounded(content.decode("utf-8-sig"))
        if any(isinstance(token, AliasToken) for token in YAML(typ="safe", pure=True).scan(io.BytesIO(content))):
            raise _damaged(f"“{member}”含有 YAML 引用")
    except (YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise _damaged(f"“{member}”读不出来（{type(error).__name__}）") from None


def _understood(members: dict[str, bytes]) -> Bundle:
    """The bundle, when everything in it can be used by this version of the program."""
    try:
        manifest = _Manifest.model_validate_json(members[_MANIFEST])
        codes = {defined.return_code for defined in all_definitions()}
        if not codes or not set(manifest.periods) <= codes:
            raise ValueError("报表与填报日历不一致")
        _check_words(file_rules().values())
        if not all(isinstance(words, str) for words in cell_states().values()):
            raise ValueError("cell_states")
        for code in codes:
            _check_words(suite(code).rules.values())
        if rule_set_version() != manifest.rule_set_version:
            raise ValueError("规则与规则包的版本号不符，可能被改动过")
    except (
        ValueError, KeyError, TypeError, AttributeError, OSError, YAMLError, RecursionError, YamlMistakes,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:160]
        raise _damaged(f"内容不合要求（{reason}），或者它属于更新的版本", "请先升级本程序；仍不行，") from None
    limits = manifest.limits
    return Bundle(
        manifest.city.name,
        manifest.rule_set_version,
        ScreenSettings(
            counties=tuple(CountyName(**dict(county)) for county in manifest.counties),
            periods={code: set(periods) for code, periods in manifest.periods.items()},
            limits=ReadLimits(**limits.model_dump()),
        ),
    )


def _check_words(rules: Iterable[Rule]) -> None:
    """Raise ValueError for a message that is more than words and plain placeholders."""
    for rule in rules:
        for words in (rule.message, rule.remedy):
            if len(words) > 2000 or re.search(r"[{}]", _PLACEHOLDER.sub("", words)):
                raise ValueError(f"{rule.rule_id}: {words[:60]}")


def _damaged(reason: str, first: str = "") -> BundleDamaged:
    return BundleDamaged(f"规则包不能用：{reason}。处理办法：{first}向市局重新索取 {BUNDLE_NAME}。")
