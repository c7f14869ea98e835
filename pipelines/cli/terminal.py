"""What the terminal shows: the language, tables over the published file, and how a user's mistake is told.

Belongs here: presentation only. Figures come from the published file, opened read-only for one query and closed.
"""

import sys
from typing import Any, NoReturn

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.characters import unturned
from pipelines.home import Home
from pipelines.warehouse.opened import opened

# Where nobody watches (a log, a pipe) tables get a fixed, readable width.
_WIDTH = None if sys.stdout.isatty() else 140
console = Console(highlight=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False)
_spoken = {"language": "zh"}


def speak(language: str) -> None:
    """Choose the language of everything that is said from here on: zh or en."""
    _spoken["language"] = language


def say(chinese: str, english: str) -> str:
    """One of two wordings, by the chosen language."""
    return chinese if _spoken["language"] == "zh" else english


def refuse(message: str) -> NoReturn:
    """Tell a user's mistake in words, without a traceback. Exit code 2: nothing was done."""
    complain(message)
    sys.exit(2)


def complain(message: str) -> None:
    """Say on standard error what went wrong, as it stands: no markup, no line broken."""
    errors.print(Text(unturned(message), style="red"), soft_wrap=True)


def tell(message: str) -> None:
    """Say something on standard output, as it stands."""
    console.print(unturned(message), markup=False, soft_wrap=True)


def query(home: Home, sql: str, parameters: list[Any] | None = None) -> pl.DataFrame:
    """One query on the published file; refuses with what to do when there is none. Raises FileUnusable."""
    if not home.published.exists():
        refuse(say(f"还没有发布过指标库（{home.published}）。请先运行 xianbao run。",
                   f"Nothing has been published yet ({home.published}). Run xianbao run first."))  # fmt: skip
    with opened(home.published) as connection:
        return connection.sql(sql, params=parameters or []).pl()


def county_text(text: object) -> Text:
    """A county's own text: never read as markup."""
    return Text("" if text is None else unturned(str(text)))


def figure(value: object, decimals: int = 2) -> str:
    """A number with thousands marks; a dash when there is none."""
    return "—" if value is None else f"{value:,.{decimals}f}"


def whole_or_cents(value: object) -> str:
    """Counts without decimals, money with two."""
    if value is None:
        return "—"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"  # type: ignore[call-overload]


def new_table(title: str, *columns: tuple[str, str]) -> Table:
    """A table with (heading, justification) columns."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading, justify in columns:
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table
