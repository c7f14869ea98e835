"""Reading YAML that people write: every mistake at once, each at its line, in the words of the bureau.

Belongs here: a problem, a parsed file that knows the line of each of its values, and what pydantic complains of in Chinese. What must stand
in a file is the business of whoever reads it (`municipality`, `screening.catalogue`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from pipelines.yaml_files import YamlTooMuch, bounded

Location = tuple[int | str, ...]
ModelType = TypeVar("ModelType", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file. ``line`` counts from 1; None when the file as a whole is meant."""

    file: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file} 第 {self.line} 行"
        return f"{place}：{self.message}。处理办法：{self.remedy}。"


class YamlMistakes(Exception):
    """A file cannot be used; ``problems`` holds every mistake found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line or 0))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class _TextDateConstructor(RoundTripConstructor):
    """Leaves dates as text: ruamel's own reading of 1983-02-30 fails without a line number."""


_TextDateConstructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


class YamlTree:
    """One parsed file and what is wrong with it. ``example``: what a writer is told to compare with; ``called``: what the file is."""

    def __init__(self, file: str, tree: CommentedMap, example: str) -> None:
        self.file, self.tree, self.example = file, tree, example
        self.problems: list[Problem] = []

    @classmethod
    def read(cls, path: Path, *, called: str, missing: str, example: str) -> YamlTree:
        """Read a file. Raises YamlMistakes where it is none, or no YAML; ``missing``: what to do where there is none."""
        file = str(path)

        def refused(line: int | None, message: str, remedy: str) -> YamlMistakes:
            return YamlMistakes([Problem(file, line, message, remedy)])

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise refused(None, f"找不到{called}", missing) from None
        except OSError as error:
            raise refused(
                None, f"{called}读不出来（{error.strerror}）", "确认它是普通文件，且当前用户有权读取"
            ) from None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise refused(line, "文件不是 UTF-8 编码", "用记事本等编辑器另存为 UTF-8 编码") from None

        yaml = YAML(typ="rt", pure=True)
        yaml.Constructor = _TextDateConstructor
        try:
            tree = yaml.load(bounded(text))
        except YamlTooMuch as error:
            raise refused(error.line, error.reason, error.remedy) from None
        except MarkedYAMLError as error:
            raise refused(*_syntax_problem(error, text.splitlines())) from None
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise refused(line, "含有不可见的控制字符", "删去该行里的控制字符") from None
        except (YAMLError, ValueError, RecursionError) as error:
            if digits := re.search(r"\d{4000}", text):  # more than Python makes a number of
                raise refused(text.count("\n", 0, digits.start()) + 1, "数字太长", "填位数少的数字") from None
            raise refused(None, f"YAML 无法解析：{error}", f"对照{example}改正") from None
        if not isinstance(tree, CommentedMap):
            what = called.removesuffix("文件")
            raise refused(1, f"{what}的最外层不是“键: 值”的形式", f"对照{example}改正") from None
        return cls(file, tree, example)

    def line(self, at: Location) -> int | None:
        """The line of a key or item, counted from 1; of the nearest thing around it when it is not there."""
        node: object = self.tree
        line = self.tree.lc.line
        for step in at:
            try:
                if isinstance(node, CommentedMap):
                    line = node.lc.key(step)[0]
                elif isinstance(node, CommentedSeq):
                    line = node.lc.item(step)[0]
                else:
                    break
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return line + 1 if line is not None else None

    def report(self, at: Location, message: str, remedy: str) -> None:
        """Note a mistake at a place."""
        self.problems.append(Problem(self.file, self.line(at), message, remedy))

    def validated(self, value: object, model: type[ModelType], at: Location) -> ModelType | None:
        """The value as a model of pydantic; None where it is none, and each mistake is noted."""
        try:
            return model.model_validate(plain(value))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._report_detail(detail, model, at)
        except Unsupported as error:
            self.report(at, str(error), "只用普通的文字、数字、列表和“键: 值”")
        return None

    def _report_detail(self, detail: ErrorDetails, model: type[BaseModel], at: Location) -> None:
        context: dict[str, Any] = detail.get("ctx", {})
        location = (*at, *detail["loc"])
        if detail["type"] == "refused":
            self.report(location, context["message"], context["remedy"])
        elif detail["type"] == "extra_forbidden":
            key = str(detail["loc"][-1])
            self.report(location, f"不认识的配置项“{key}”", did_you_mean(key, _keys(model, detail["loc"][:-1])))
        elif detail["type"] == "missing":
            key = str(detail["loc"][-1])
            self.report(location, f"缺少“{key}”", f"补上 {key}:，写法见{self.example}")
        else:
            key = str(location[-1])
            words = _IN_CHINESE.get(detail["type"], _default_words)
            message, remedy = words(told(detail["input"]), context)
            remedy = remedy.replace(_EXAMPLE, self.example)
            self.report(location, f"{key} {message}" if isinstance(location[-1], str) else message, remedy)


def _syntax_problem(error: MarkedYAMLError, lines: list[str]) -> tuple[int, str, str]:
    """Line, message and remedy of a syntax error. YAML often stumbles on the line below the slip, so that both count."""
    problem = error.problem or error.context or ""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if key := re.search(r'found duplicate key "(.*?)"', problem):
        return line, f"“{key[1]}”在同一层里写了两次", "删去重复的一个，或把两处合并"
    for number in (line, line - 1):
        text = lines[number - 1] if 1 <= number <= len(lines) else ""
        if re.match(r" *\t", text):
            return number, "缩进用了制表符（Tab）", "改用空格缩进"
        if re.match(r"[^#:]*：", text):
            return number, "YAML 语法错误：可能用了全角冒号“：”", "冒号用半角“:”，后面留一个空格"
    if "undefined alias" in problem:
        return line, "YAML 语法错误：用了没有定义的“*”引用", "以 * 开头的文字加上半角双引号"
    return line, f"YAML 语法错误（{problem}）", "检查该行及上一行的缩进、冒号后的空格，以及引号、括号是否成对"


class Unsupported(Exception):
    """A YAML construct beyond plain data."""


def plain(value: object, depth: int = 0) -> object:
    """The value in Python's own types, without ruamel's subclasses. Raises Unsupported."""
    if depth > 10:
        raise Unsupported("嵌套过深")
    if isinstance(value, dict):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    raise Unsupported("用了不支持的 YAML 写法")


def _keys(model: type[BaseModel], at: tuple[int | str, ...]) -> list[str]:
    """The keys allowed in ``model``, or in the model nested in it at ``at``."""
    for step in at:
        annotation = next(
            (field.annotation for name, field in model.model_fields.items() if step in (name, field.alias)), None
        )
        for kind in (annotation, *get_args(annotation)):  # Section | None
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return [field.alias or name for name, field in model.model_fields.items()]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A remedy for a word that is none of the choices."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"是不是想写“{near[0]}”？改正后再运行" if near else f"可用的有：{listed(choices)}"


def listed(words: Iterable[object]) -> str:
    return "、".join(str(word) for word in words)


#: Of a value that is wrong no more is shown, in characters.
_LONGEST_TOLD = 60


def told(value: object) -> object:
    """A wrong value as far as it is shown."""
    return f"{value[:_LONGEST_TOLD]}…" if isinstance(value, str) and len(value) > _LONGEST_TOLD else value


_Words = Callable[[object, dict[str, Any]], tuple[str, str]]
#: Stands in a remedy for what the file is compared with.
_EXAMPLE = "\x00"


def _default_words(value: object, _context: dict[str, Any]) -> tuple[str, str]:
    return f"的值“{value}”不合要求", f"对照{_EXAMPLE}改正"


def _text_words(value: object, _context: dict[str, Any]) -> tuple[str, str]:
    return ("没有填", "填上文字") if value in (None, "") else (f"应是文字，现为“{value}”", "给它加上半角双引号")


def _number_words(value: object, _context: dict[str, Any]) -> tuple[str, str]:
    return f"应是数字，现为“{value}”", "填半角数字，不加引号和单位"


def _pattern_words(value: object, context: dict[str, Any]) -> tuple[str, str]:
    if "\\n" in context["pattern"] or "\\x" in context["pattern"]:
        return "含有换行或控制字符", "删去换行和控制字符"
    return f"“{value}”写法不对", f"名称用小写字母、数字和下划线，其余写法见{_EXAMPLE}"


# pydantic's error types in the words of the bureau: (what is wrong, what to do).
_IN_CHINESE: Mapping[str, _Words] = {
    "string_type": _text_words,
    "string_too_short": lambda _value, _context: ("没有填", "填上文字"),
    "string_too_long": lambda _value, context: (f"超过 {context['max_length']} 个字", "缩短"),
    "string_pattern_mismatch": _pattern_words,
    "too_short": lambda _value, _context: ("一项也没有", "至少写一项"),
    "tuple_type": lambda value, _context: (f"应是列表，现为“{value}”", "写成 [甲, 乙]"),
    "bool_type": lambda value, _context: (f"应是 true 或 false，现为“{value}”", "填 true 或 false，不加引号"),
    "bool_parsing": lambda value, _context: (f"应是 true 或 false，现为“{value}”", "填 true 或 false，不加引号"),
    "dict_type": lambda value, _context: (
        f"应是“键: 值”的形式，现为“{value}”",
        f"对照{_EXAMPLE}，把各项逐行写在它下面",
    ),
    "int_parsing": lambda value, _context: (f"应是整数，现为“{value}”", "填半角整数，不加引号和单位"),
    "int_type": lambda value, _context: (f"应是整数，现为“{value}”", "填半角整数，不加引号和单位"),
    "float_type": _number_words,
    "decimal_type": _number_words,
    "decimal_parsing": _number_words,
    "finite_number": _number_words,
    "decimal_max_places": lambda value, context: (f"“{value}”小数位过多", f"最多 {context['decimal_places']} 位小数"),
    "greater_than": lambda value, context: (f"“{value}”过小", f"填大于 {context['gt']} 的数"),
    "greater_than_equal": lambda value, context: (f"“{value}”过小", f"填不小于 {context['ge']} 的数"),
    "less_than_equal": lambda value, context: (f"“{value}”过大", f"填不大于 {context['le']} 的数"),
    "literal_error": lambda value, context: (
        f"不能是“{value}”",
        f"可填：{re.sub(', | or ', '、', str(context['expected']).replace(chr(39), ''))}",
    ),
    "model_type": lambda _value, _context: ("应是“键: 值”的形式", f"对照{_EXAMPLE}，把各项逐行写在它下面"),
}
