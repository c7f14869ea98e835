"""The folder of policy of a new home: what the city is expected to fill in or replace, and what each file is.

Belongs here: which tables a new home gets, and the words beside them. Made-up rows are marked 示例, as in the defaults that they are
taken from; what is the country's is not copied, so that an upgrade reaches it.
"""

from collections.abc import Mapping

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.policy.in_force import PolicyFiles, as_csv, lay_over, shipped
from pipelines.policy.tables import PolicyTable, policy_tables

README = "README.md"


def write_policy_folder(home: Home, own: Mapping[str, bytes] | None = None) -> bool:
    """Write `<home>/policy/` where there is none; returns whether it was written. `own`: files of the city's, by name."""
    if home.policy.exists():
        return False
    laid = lay_over(PolicyFiles(own or {}, shipped(home.policy_defaults)))
    for name, table in policy_tables().items():
        if table.filled_by != "city":
            continue
        given = f"{name}.csv" in (own or {})
        rows = [row.values for row in laid.rows[name] if (row.is_home if given else row.values["is_sample"] is True)]
        replace_file(home.policy / f"{name}.csv", as_csv(table, rows))
    replace_file(home.policy / README, _readme().encode())
    return True


def _readme() -> str:
    """What lies in the folder, in Chinese."""
    tables = policy_tables().values()
    return "\n".join(
        [
            "# 本市的政策",
            "",
            "指标按这里的口径、标准和补助标准计算、评定。每个文件是一张表，用 Excel 或 WPS 打开修改，存为 CSV。",
            "改好后运行 `xianbao policy check` 检查，下一次 `xianbao run` 生效；有错时不发布，已发布的保持不变。",
            "",
            "- 这里没有写的，用随程序提供的全国默认值；`xianbao policy show` 列出现行的每一行及其出处。",
            "- 这里写了某一项（例如某指标在某地的标准、某口径的某一维度、某县的类别），这一项就全部以这里的为准，默认的不再用。",
            "- 默认的某一项本市不采用：照写一行，失效日期与生效日期写同一天。",
            "- 适用范围写县、市、省的代码，或 CN（全国）；同一指标有几个范围的标准，用最近的。",
            "- 标“示例”的行不是本市的文件，请逐行换成正式的，写明文号，并把“是否示例”改为“否”。",
            "- 日期写成 2024-09-01 或 2024/9/1；终止、失效留空表示现行；失效日期当天起不再有效。",
            "- 升级程序不动这里的任何文件。每次运行用过的版本都留在 raw/policy/。",
            "",
            "## 要由本市填写或替换的",
            "",
            *(_line(table) for table in tables if table.filled_by == "city"),
            "",
            "## 一般用全国默认的（另有规定时，在这里加一个同名文件）",
            "",
            *(_line(table) for table in tables if table.filled_by == "nation"),
            "",
        ]
    )


def _line(table: PolicyTable) -> str:
    return f"- `{table.name}.csv` {table.title}：{table.description}"
