"""The commands of `xianbao`. Exit codes: 0 done; 1 the file checked has errors, or the system failed; 2 a mistake in the call."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.cli import boards
from pipelines.cli.terminal import complain, errors, refuse, say, speak, tell
from pipelines.home import Home, HomeBusy
from pipelines.municipality import ConfigurationError, write_template

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="县报：收取县区统计报表，审核、汇总、发布市级教育指标。County returns in, municipal indicators out.",
)
_State = dict[str, Home]
_state: _State = {}


def _home() -> Home:
    return _state["home"]


@app.callback()
def common(
    home: Annotated[
        Path | None, typer.Option(help="数据主目录（默认：XIANBAO_HOME 或程序所在目录）", envvar="XIANBAO_HOME")
    ] = None,
    lang: Annotated[str, typer.Option(help="zh 或 en", envvar="XIANBAO_LANG")] = "zh",
) -> None:
    """Options of every command."""
    if lang not in ("zh", "en"):
        refuse("--lang: zh / en")
    speak(lang)
    _state["home"] = Home(home.resolve()) if home else Home.default()


@app.command()
def init(force: Annotated[bool, typer.Option(help="覆盖已有的配置")] = False) -> None:
    """写一份带注释的 municipality.yaml。Write a commented configuration."""
    home = _home()
    home.root.mkdir(parents=True, exist_ok=True)
    try:
        write_template(home.configuration, force=force)
    except FileExistsError as error:
        refuse(str(error))
    tell(
        say(f"已写出 {home.configuration}，请按注释修改。", f"Wrote {home.configuration}; edit it as its comments say.")
    )


@app.command()
def sample(
    faults: Annotated[bool, typer.Option(help="放入一组有记录的差错")] = False,
    census: Annotated[Path | None, typer.Option(help="2020 年人口普查分县工作簿，作外部对照")] = None,
) -> None:
    """写一套合成的县区报送件（14 县 × 6 表 × 3 年）。Write synthetic county workbooks."""
    from pipelines.sample import write_sample

    home = _home()
    home.root.mkdir(parents=True, exist_ok=True)
    if not home.configuration.exists():
        references = {"census_2020": str(census.resolve())} if census else None
        write_template(home.configuration, received_at="modified", references=references)
    with _progress(say("写出样例", "Writing the sample")) as advance:
        report = write_sample(home.root, faults=faults, progress=advance)
    tell(
        say(f"样例（合成数据）：写出 {len(report.written)} 个文件，{len(report.unchanged)} 个未变。",
            f"Sample (synthetic data): {len(report.written)} files written, {len(report.unchanged)} unchanged.")
    )  # fmt: skip
    if faults:
        boards.show_faults(report.faults)


@app.command()
def run(
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="按截至该日（北京时间）已收到的报送件汇总")
    ] = None,
) -> None:
    """收取、审核、汇总、发布一次。Collect, screen, model and publish once."""
    _run(_home(), as_of=f"{as_of:%Y-%m-%d}" if as_of else None)


@app.command()
def rebuild() -> None:
    """只凭 raw/ 重建仓库。Rebuild the warehouse from raw/ alone."""
    from pipelines.warehouse.build_database import remove_build

    home = _home()
    home.municipality  # noqa: B018 - a wrong configuration is told before anything is removed
    with home.writing():
        remove_build(home)
    _run(home)


def _run(home: Home, *, as_of: str | None = None) -> None:
    from pipelines.cli.running import run_update

    home.municipality  # noqa: B018 - a wrong configuration is told before anything is done
    with _progress(say("审核报送件", "Screening submissions")) as advance:
        ran = run_update(home, as_of=as_of, progress=advance)
    for code, problem in ran.problems.items():
        complain(say(f"来源 {code} 收取失败：{problem}", f"Source {code} could not be read: {problem}"))
    for left in ran.left:
        complain(left)
    if ran.failure:
        complain(say("系统故障，不是县区的错：", "System fault, not a county's mistake:"))
        complain(ran.failure)
        errors.print(
            say(
                "已发布的指标库保持不变；故障排除后再运行即可。",
                "The published file is as it was; run again when mended.",
            )
        )
        sys.exit(1)
    if not ran.changed and not ran.screened_n:
        tell(say("没有新的报送件，指标库已是最新，未做任何更改。", "Nothing new: the published file is up to date."))
    else:
        tell(
            say(f"新收 {ran.landed_n} 件，审核 {ran.screened_n} 件，构建 {ran.nodes_n} 个模型与检验。",
                f"{ran.landed_n} submissions landed, {ran.screened_n} screened, {ran.nodes_n} models and tests built.")
        )  # fmt: skip
    boards.show_municipal(home)
    boards.show_places(home)


@app.command()
def status(
    period: Annotated[str | None, typer.Option(help="报告期；默认每张报表的最近一期")] = None,
) -> None:
    """报送情况：县区 × 报表。The board: counties × returns."""
    boards.show_status(_home(), period)


@app.command()
def findings(
    county: Annotated[str | None, typer.Option(help="县区代码或名称")] = None,
    return_code: Annotated[str | None, typer.Option("--return", help="报表，如 enrolment")] = None,
    period: Annotated[str | None, typer.Option(help="报告期")] = None,
    outcome: Annotated[str | None, typer.Option(help="error、query 或 info")] = None,
    limit: Annotated[int, typer.Option(help="最多显示多少条")] = 50,
) -> None:
    """审核问题。The findings that stand."""
    boards.show_findings(_home(), county=county, return_code=return_code, period=period, outcome=outcome, limit=limit)


@app.command()
def show(
    indicator: Annotated[str, typer.Argument(help="指标代码或名称，如 gross_enrolment_preschool")],
    period: Annotated[str | None, typer.Option(help="报告期；默认最近一期")] = None,
    caliber: Annotated[str | None, typer.Option(help="口径；默认为默认口径")] = None,
) -> None:
    """一个指标：市与各县区。One indicator, for the city and its counties."""
    boards.show_indicator(_home(), indicator, period, caliber)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="要检查的文件")]) -> None:
    """检查一个文件而不报送；有错误时退出码为 1。Screen one file without landing it."""
    from pipelines.screening.screen import Submission, screen

    if not file.is_file():
        refuse(say(f"没有这个文件：{file}", f"No such file: {file}"))
    result = screen([Submission("check", file, file.name)], _home().screen_settings())
    boards.show_check(result)
    if any(filing.verdict == "rejected" for filing in result.filings):
        sys.exit(1)


class _progress:
    """A bar that appears with the first step and goes when done; silent where nobody watches."""

    def __init__(self, label: str) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=errors, transient=True, disable=not errors.is_terminal,
        )  # fmt: skip
        self.task = self.progress.add_task(label, total=None)

    def __enter__(self):  # type: ignore[no-untyped-def]
        self.progress.start()
        return self._advance

    def _advance(self, done: int, total: int) -> None:
        self.progress.update(self.task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def main() -> None:
    """Entry point: a user's mistake is told in words; only our own faults leave a traceback in the log."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        app()
    except ConfigurationError as error:
        complain(str(error))
        sys.exit(2)
    except HomeBusy as error:
        complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
