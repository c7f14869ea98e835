"""python -m tests.faults [--quick] [WORD…]: a table of kinds, what is tried and what comes of it; exit code 1 where one is not right."""

import argparse
import os
import re
import sys
import tempfile
import textwrap
import time
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import Case, Outcome, cases

_TRIED, _CAME = 46, 78


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", help="only cases whose name has one of these words")
    parser.add_argument("--quick", action="store_true", help="leave out the slow cases")
    parser.add_argument("--whole", action="store_true", help="outcomes in full, however long")
    parser.add_argument("--list", action="store_true", help="name the cases and run none")
    asked = parser.parse_args()
    chosen = [
        one
        for one in cases()
        if not (asked.quick and one.is_slow) and (not asked.words or any(word in one.name for word in asked.words))
    ]
    os.environ |= {"POLARS_MAX_THREADS": "2", "DAGSTER_DISABLE_TELEMETRY": "1"}
    began, wrong, kind = time.monotonic(), [], None
    for one in chosen:
        if one.kind != kind:
            kind = one.kind
            print(f"\n{kind}", flush=True)
        if asked.list:
            print(f"  {one.tried}{' (slow)' if one.is_slow else ''}")
            continue
        outcome, seconds = _tried(one)
        wrong += [] if outcome.right else [one.name]
        _print(one, outcome, seconds, whole=asked.whole or not outcome.right)
    if not asked.list:
        print(f"\n{len(chosen)} cases in {time.monotonic() - began:.0f} s, {len(wrong)} not right")
        for name in wrong:
            print(f"  {name}")
    return 1 if wrong or not chosen else 0


def _tried(one: Case) -> tuple[Outcome, float]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="xianbao-fault-", ignore_cleanup_errors=True) as folder, _aside():
        try:
            outcome = one.run(Path(folder))
        except Exception:
            outcome = Outcome(traceback.format_exc(limit=-2), right=False)
    return Outcome(_plain(outcome.words, folder), outcome.right), time.monotonic() - started


@contextmanager
def _aside() -> Iterator[None]:
    """What is printed meanwhile, by whichever library or child, is no part of the table."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with Path(os.devnull).open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)


def _plain(words: str, folder: str) -> str:
    """On one line, without the folder that nobody will see again, and hashes by their beginning."""
    words = " ".join(words.replace(f"{folder}/", "").replace(folder, "").split())
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{8,}\b", r"\1…", words)


def _print(one: Case, outcome: Outcome, seconds: float, *, whole: bool) -> None:
    """Three columns: what is tried, what came of it, and whether that is right; each on as many lines as it needs."""
    tried = _wrapped(one.tried, _TRIED)
    came = _wrapped(outcome.words, _CAME)
    if not whole and len(came) > 2:
        came = [came[0], f"{came[1]} …"]
    for number in range(max(len(tried), len(came))):
        left = tried[number] if number < len(tried) else ""
        middle = came[number] if number < len(came) else ""
        mark = f"{'right' if outcome.right else 'WRONG'} {seconds:6.1f} s" if number == 0 else ""
        print(f"  {_padded(left, _TRIED)}  {_padded(middle, _CAME + 2)}  {mark}".rstrip(), flush=True)


def _wrapped(words: str, width: int) -> list[str]:
    """Lines no wider than `width` columns, in which a Chinese character takes two."""
    lines, line = [], ""
    pieces = [
        piece
        for word in re.split(r"(\s+)", words)
        for piece in ([word] if word.isspace() else textwrap.wrap(word, 40) if word.isascii() else word)
    ]
    for piece in pieces or [""]:
        if line and _wide(line + piece) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or piece.strip() else ""
    return [*lines, line.rstrip()]


def _wide(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - _wide(text))


if __name__ == "__main__":
    sys.exit(main())
