"""YAML that people write, bounded before anything is made of it: a few lines of aliases unfold to more than any machine holds.

Belongs here: how long a file may be, how deep it may nest, and to how much its aliases may unfold. What is in a file is the business of
whoever reads it. An alias as such is allowed: a deadline may be written once and referred to.
"""

import re

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

_MOST_CHARACTERS = 1_000_000
_DEEPEST = 20
#: Values after all aliases have been followed.
_MOST_VALUES = 200_000
#: An anchor or an alias, or nesting without line breaks: only then is a file looked at before it is read.
_ANCHOR = re.compile(r"(?:^|[\s\[{,:-])[&*][^\s\[\]{},]")
_NESTED_LINE = re.compile(r"(?:[-?]\s+){8}|(?:[\[{]\s*){8}")
_DEEP_LINE = re.compile(r"^ {60}", re.MULTILINE)


class YamlTooMuch(YAMLError):
    """A file that says more than is read. `line` counts from 1; `reason` and `remedy` are Chinese."""

    def __init__(self, line: int, reason: str, remedy: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason, self.remedy = line, reason, remedy


def bounded(text: str) -> str:
    """The text, if it can be read within bounds. Raises YamlTooMuch; any other mistake is left to whoever reads it."""
    if len(text) > _MOST_CHARACTERS:
        raise YamlTooMuch(1, f"文件有 {len(text):,} 个字，上限 {_MOST_CHARACTERS:,} 个", "删去多余的内容")
    brackets = text.count("[") + text.count("{")
    if _ANCHOR.search(text) or _NESTED_LINE.search(text) or _DEEP_LINE.search(text) or brackets > 2_000:
        try:
            _look_ahead(text)
        except YamlTooMuch:
            raise
        except (YAMLError, ValueError, RecursionError):
            pass  # whoever reads it says what is wrong, and where
    return text


def _look_ahead(text: str) -> None:
    """Follow the file from start to end without building anything of it."""
    weights: dict[str, int] = {}
    depths: dict[str, int] = {}
    #: Of each list or mapping that is open: its anchor, its values so far, how deep what is in it reaches.
    opened: list[list[object]] = []
    total = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            opened.append([event.anchor, 1, 1])
            if len(opened) > _DEEPEST:
                raise _too_deep(line)
            continue
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            anchor, weight, depth = opened.pop()
            assert isinstance(weight, int) and isinstance(depth, int)
        elif isinstance(event, AliasEvent):
            if event.anchor in {one[0] for one in opened}:
                raise YamlTooMuch(line, f"“*{event.anchor}”引用了它自己所在的一段", "把引用的内容直接写出来")
            anchor, weight, depth = None, weights.get(event.anchor, 1), depths.get(event.anchor, 0)
        elif isinstance(event, ScalarEvent):
            anchor, weight, depth = event.anchor, 1, 0
        else:
            continue
        if anchor is not None and isinstance(event, NodeEvent | MappingEndEvent | SequenceEndEvent):
            weights[str(anchor)], depths[str(anchor)] = weight, depth
        if len(opened) + depth > _DEEPEST:
            raise _too_deep(line)
        if opened:
            inner, reached = opened[-1][1], opened[-1][2]
            assert isinstance(inner, int) and isinstance(reached, int)
            opened[-1][1], opened[-1][2] = inner + weight, max(reached, depth + 1)
        total = total + weight if not isinstance(event, MappingEndEvent | SequenceEndEvent) else total
        if total > _MOST_VALUES or weight > _MOST_VALUES:
            raise YamlTooMuch(
                line, f"“*”引用层层展开后超过 {_MOST_VALUES:,} 项", "把引用的内容直接写出来，不要一层套一层地引用"
            )


def _too_deep(line: int) -> YamlTooMuch:
    return YamlTooMuch(line, f"嵌套超过 {_DEEPEST} 层", "检查缩进和括号；配置只有几层")
