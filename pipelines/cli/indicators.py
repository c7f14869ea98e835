"""`xianbao indicators`: what is declared, as a list, or one indicator as a sentence.

Belongs here: the table and the choice of one. What an indicator says is `pipelines.declarations`.
"""

from pipelines.cli.terminal import console, county_text, new_table, refuse, say
from pipelines.declarations.declared import declared_rows
from pipelines.declarations.sentence import Sentences
from pipelines.home import Home
from pipelines.policy.in_force import known_policy, policy_in_force
from pipelines.returns import current_definitions


def show_indicators(home: Home, which: str | None) -> None:
    """List the indicators of a home, or say one of them, by code or Chinese name. Raises PolicyError and DeclarationError."""
    known = known_policy(policy_in_force(home))
    rows = declared_rows(home, known)
    forms = {code: defined.form for code, defined in current_definitions().items()}
    if which is not None:
        wanted = which.strip()
        named = {
            str(row["indicator_code"]): [
                str(row[name]) for name in ("indicator_code", "indicator_name", "indicator_name_en")
            ]
            for row in rows["indicator"]
        }
        codes = [code for code, names in named.items() if wanted in names]
        codes = codes or [code for code, names in named.items() if wanted and any(wanted in name for name in names)]
        if not codes:
            refuse(
                say(
                    f"没有指标“{which}”。列出全部：xianbao indicators", f"No indicator {which}. All: xianbao indicators"
                )
            )
        sentences = Sentences(rows, forms, known.groups, english=say("", "en") == "en")
        for code in codes:
            console.print(county_text(sentences.of(code)), soft_wrap=True)
        return
    table = new_table(
        say("指标", "Indicators"), (say("代码", "Code"), "left"), (say("指标", "Indicator"), "left"),
        (say("单位", "Unit"), "left"), (say("算法", "Shape"), "left"), (say("声明在", "Declared at"), "left"),
    )  # fmt: skip
    for row in rows["indicator"]:
        name = say(str(row["indicator_name"]), str(row["indicator_name_en"]))
        table.add_row(row["indicator_code"], name, row["unit"], row["shape"], row["place"])
    console.print(table)
