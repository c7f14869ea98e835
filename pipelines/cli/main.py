"""The commands of `xianbao`. Exit codes: 0 done; 1 the file checked has errors, or the system failed; 2 a mistake in the call,
or something of the user's own in the way: nothing was done; 130 or 143 interrupted."""

import errno
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from pipelines.cli import boards, decide
from pipelines.cli.interruption import INTERRUPTED, Interrupted, listen
from pipelines.cli.terminal import complain, errors, refuse, say, speak, tell
from pipelines.decisions import DecisionLogDamaged
from pipelines.home import Home, HomeBusy
from pipelines.policy.kept import PolicyLost, refuse_lost
from pipelines.returns import DefinitionError
from pipelines.rule_files import use_home
from pipelines.screening.settings import screen_settings
from pipelines.warehouse.opened import FileUnusable, in_words
from pipelines.yaml_mistakes import YamlMistakes


class _Border(TyperGroup):
    """Where a user meets the program: what is no fault of the code is told in words, and only our own faults leave a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            goes_on = isinstance(stopped, Interrupted) and stopped.goes_on
            complain(say("已中断，下次运行会接着做。", "Interrupted; the next run goes on from here.") if goes_on
                     else say("已中断。", "Interrupted."))  # fmt: skip
            sys.exit(stopped.exit_code if isinstance(stopped, Interrupted) else 130)
        except (DefinitionError, YamlMistakes) as error:
            refuse(str(error))
        except (HomeBusy, DecisionLogDamaged, PolicyLost) as error:
            complain(str(error))
            sys.exit(1)
        except FileUnusable as unusable:
            _stop_at(unusable)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in _PIPELINE_PACKAGES:
                raise
            refuse(say("这台机器只装了自查部分（xianbao check）；这条命令要在市局的安装环境中运行：pip install 'xianbao[pipeline]'。",
                       "Only the pre-check (xianbao check) is installed here; this needs: pip install 'xianbao[pipeline]'"))  # fmt: skip
        except Exception as error:
            if (unwritable := _unwritable(error)) is not None:
                _stop_at(unwritable)
            # Of a database that is not opened here but deeper down, by whatever way.
            duckdb = sys.modules.get("duckdb")
            if duckdb is None or not isinstance(error, duckdb.Error):
                raise
            _stop_at(in_words(str(error)))


def _unwritable(error: BaseException) -> FileUnusable | None:
    """What cannot be read or written, and why, when that is what an error comes from: a file, or Dagster's books in SQLite."""
    home = _state.get("home")
    if home is None:
        return None
    place, reason = str(home.root), ""
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    ):
        place, reason = str(error.filename or place), error.strerror or ""
    elif "sqlite3.OperationalError" in str(error) or type(error).__module__ == "sqlite3":
        place = str(home.warehouse / "dagster")
        reason = str(error).partition("\n")[0].removeprefix("(sqlite3.OperationalError) ")
    if not reason:
        return None
    try:
        free_n = shutil.disk_usage(home.root).free // 2**20
    except OSError:
        free_n = 0
    return FileUnusable(
        f"{place} 读写不了（{reason}；该盘剩余 {free_n} MiB）。磁盘满了就腾出空间；目录只读或没有权限，就改好权限。然后再运行；已发布的指标库保持不变。",
        f"{place} cannot be read or written ({reason}; {free_n} MiB free on that disk). Free some space or mend its permissions, then run again; what is published is as it was.",
        is_fault=True,
    )  # fmt: skip


def _stop_at(unusable: FileUnusable) -> NoReturn:
    """Say why a database file cannot be used; exit code 1 where something of ours is broken, else 2."""
    complain(say(unusable.chinese, unusable.english))
    sys.exit(1 if unusable.is_fault else 2)


app = typer.Typer(
    cls=_Border,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="县报：收取县区统计报表，审核、汇总、发布市级教育指标。County returns in, municipal indicators out.",
)
#: What `pip install xianbao` leaves out: a county that checks its files needs neither orchestrator nor database.
_PIPELINE_PACKAGES = frozenset(["dagster", "dagster_dbt", "dbt", "duckdb", "fsspec", "xlwt"])
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
    use_home(_home().root)
    if _home().root.exists() and not _home().root.is_dir():
        refuse(say(f"{_home().root} 不是目录，不能作数据主目录。", f"{_home().root} is no folder, and so no home."))


@app.command()
def init(
    city: Annotated[str | None, typer.Option(help="本市：行政区划代码和名称，如 '140900 忻州市'")] = None,
    province: Annotated[str | None, typer.Option(help="所在省的名称，如 山西省")] = None,
    county: Annotated[
        list[str] | None, typer.Option(help="县区：行政区划代码和名称，如 '140922 五台县'；可写多次")
    ] = None,
    force: Annotated[bool, typer.Option(help="覆盖已有的配置")] = False,
) -> None:
    """写一份带注释的 municipality.yaml；没有写明的本市、省和县区逐项询问。Write a commented configuration."""
    from pipelines.cli.setting_up import write_configuration

    write_configuration(_home(), city, province, county, force=force)


@app.command()
def sample(
    faults: Annotated[bool, typer.Option(help="放入一组有记录的差错")] = False,
    census: Annotated[Path | None, typer.Option(help="2020 年人口普查分县工作簿，作外部对照")] = None,
) -> None:
    """写一套合成的县区报送件（14 县 × 6 表 × 3 年）。Write synthetic county workbooks."""
    from pipelines.cli.checking import annotated_example
    from pipelines.sample import is_sample_home, write_sample, write_sample_municipality, write_sample_policy

    home = _home()
    home.make_root()
    if not home.configuration.exists():
        references = {"census_2020": str(census.resolve())} if census else None
        write_sample_municipality(home.configuration, references=references)
    elif not is_sample_home(home.root, home.configuration):
        refuse(
            say(f"{home.configuration} 是自己的配置，不放合成样例。要看样例，另指一个目录：xianbao --home 样例 sample",
                f"{home.configuration} is your own: no sample is put there. To see it: xianbao --home sample sample")
        )  # fmt: skip
    write_sample_policy(home.root)
    with _progress(say("写出样例", "Writing the sample")) as advance:
        report = write_sample(home.root, faults=faults, progress=advance)
    tell(
        say(f"样例（合成数据）：写出 {len(report.written)} 个文件，{len(report.unchanged)} 个未变。",
            f"Sample (synthetic data): {len(report.written)} files written, {len(report.unchanged)} unchanged.")
    )  # fmt: skip
    if faults:
        boards.show_faults(report.faults)
    if report.example:
        annotated_example(home, home.root / report.example)


@app.command()
def run() -> None:
    """收取、审核、汇总、发布一次。Collect, screen, model and publish once."""
    _run(_home())


@app.command()
def publish(
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="截至哪一天（北京时间）已知的情况")],
    out: Annotated[Path | None, typer.Option(help="写到哪个文件；默认留在 warehouse/releases/")] = None,
) -> None:
    """截至某日已知的指标库，另成一个发布，不动现行的发布库。The warehouse as it was known on a day."""
    from pipelines.cli.releases import publish_day

    with _progress(say("审核报送件", "Screening submissions")) as advance:
        publish_day(_home(), f"{as_of:%Y-%m-%d}", out, progress=advance)


@app.command()
def releases() -> None:
    """全部发布：编号、时间、截至日、文件是否保留。Every release."""
    from pipelines.cli.releases import show_releases

    show_releases(_home())


@app.command()
def verify(
    release: Annotated[str, typer.Argument(help="发布编号（至少前四位）、序号，或 current")] = "current",
) -> None:
    """由 raw/ 重算一个发布，逐表核对内容；不一致时退出码为 1。Make a release again from raw/ and compare it."""
    from pipelines.cli.releases import verify_release

    with _progress(say("审核报送件", "Screening submissions")) as advance:
        code = verify_release(_home(), release, progress=advance)
    sys.exit(code)


@app.command()
def changes(
    before: Annotated[str, typer.Argument(help="较早的发布：编号（至少前四位）、序号")],
    after: Annotated[str, typer.Argument(help="较晚的发布，或 current")] = "current",
    json_file: Annotated[Path | None, typer.Option("--json", help="写成 JSON 文件")] = None,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="写成 Excel 工作簿")] = None,
) -> None:
    """两个发布之间哪些数变了，因何而变，到单元格。Which figures changed between two releases, and why."""
    from pipelines.cli.changes import show_changes

    with _progress(say("逐项替换", "Swapping inputs")) as advance:
        show_changes(_home(), before, after, json_file=json_file, workbook=xlsx, progress=advance)


@app.command()
def rebuild() -> None:
    """只凭 raw/ 重建仓库。Rebuild the warehouse from raw/ alone."""
    from pipelines.cli.running import whole_run
    from pipelines.policy.in_force import policy_in_force
    from pipelines.warehouse.build_database import remove_build
    from pipelines.warehouse.landing import damaged_in_raw, remember_damaged

    home = _home()
    policy_in_force(home)  # a wrong configuration or policy is told before anything is removed
    list(home.decisions)  # nor does a log that is not whole rebuild anything
    with whole_run(home):
        if damaged := damaged_in_raw(home):
            complain(
                say(f"raw/ 里有 {len(damaged)} 个报送件已不完整，现在重建会丢掉它们的数：没有重建，只照常运行。恢复后再运行 xianbao rebuild。",
                    f"{len(damaged)} submissions in raw/ are damaged: not rebuilt, an ordinary run instead. Restore them first.")
            )  # fmt: skip
            remember_damaged(home, damaged)
        else:
            remove_build(home)
        _run(home)


def _run(
    home: Home,
    *,
    again: tuple[str | None, str | None] = (None, None),
    indicators: bool = True,
) -> None:
    """Run the update and say what came of it; `indicators`: with the municipal figures, as after a run that was asked for."""
    from pipelines.cli.running import run_update
    from pipelines.operations.run_log import AnswerResult, CollectResult, CopyResult, ScreenResult
    from pipelines.policy.in_force import policy_in_force

    refuse_lost(home)  # what is lost is told before what does not fit without it
    policy_in_force(home)  # a wrong configuration or policy is told before anything is done
    with _progress(say("审核报送件", "Screening submissions")) as advance:
        ran = run_update(home, again=again, progress=advance)
    for remark in ran.remarks:
        complain(remark)
    names = {county.code: county.name for county in home.municipality.counties}
    for code, problem in ran.problems(CollectResult).items():
        source = f"{names[code]}（{code}）" if code in names else code
        complain(say(f"来源 {source} 读不出来：{problem}", f"Source {source} could not be read: {problem}"))
    for result in ran.of(CollectResult):
        for left in (*result.left, *result.passed_over):
            complain(left)
    for code, files_n in ((code, n) for result in ran.of(ScreenResult) for code, n in result.postponed.items()):
        complain(
            say(
                f"{names.get(code, code)}有 {files_n} 件本次没有审核：一次运行留给它的处理时间（limits.county_seconds）已经用完。"
                "原件都在，下次运行接着审，其他县区不受影响。",
                f"{files_n} files of {code} were left for the next run: its share of one run's time is used up.",
            )
        )
    for where, problem in ran.problems(CopyResult).items():
        complain(say(f"PostgreSQL 副本（{where}）：{problem}", f"Copy in PostgreSQL ({where}): {problem}"))
    for code, problem in ran.problems(AnswerResult).items():
        complain(
            say(
                f"{code} 的回执没有送到，下次再送：{problem}",
                f"Answers to {code} not delivered, tried again: {problem}",
            )
        )
    if ran.failure:
        complain(say("系统故障，不是县区的错：", "System fault, not a county's mistake:"))
        complain(say(ran.failure.chinese, ran.failure.english))
        errors.print(
            say(
                "已发布的指标库保持不变；故障排除后再运行即可。",
                "The published file is as it was; run again when mended.",
            )
        )
        sys.exit(1)
    if ran.refused:
        complain(ran.refused)
        if not home.published.exists():
            sys.exit(1)
    elif not ran.is_changed and not ran.screened_n:
        tell(say("没有新的报送件，指标库已是最新，未做任何更改。", "Nothing new: the published file is up to date."))
    else:
        tell(
            say(f"新收 {ran.collected_n} 件，审核 {ran.screened_n} 件，构建 {ran.nodes_n} 个模型与检验。",
                f"{ran.collected_n} submissions landed, {ran.screened_n} screened, {ran.nodes_n} models and tests built.")
        )  # fmt: skip
    if indicators:
        boards.show_municipal(home)
        boards.show_places(home)
        boards.show_example(home)
    if ran.faults:
        for submission_id, fault in ran.faults.items():
            complain(
                say(
                    f"系统故障：{submission_id[:16]} 未能审核（{fault}）。不是县区的错，其他报送件照常处理，排除故障后会自动再审。",
                    f"System fault: {submission_id[:16]} not screened ({fault}); the others are, and it is tried again.",
                )
            )
    if ran.faults or ran.refused:
        sys.exit(1)


@app.command()
def runs(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="运行编号（前几位即可）：看它每一步")] = "",
    limit: Annotated[int, typer.Option(min=1, help="最近多少次")] = 20,
) -> None:
    """最近的运行：收了什么，审了什么，每一步用时，哪里出了故障。The last runs, or one of them step by step."""
    from pipelines.cli.runs import show_run, show_runs

    if run_id:
        show_run(_home(), run_id)
    else:
        show_runs(_home(), limit)


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
    summary: Annotated[bool, typer.Option(help="只数：各县区、各报告期几条")] = False,
) -> None:
    """审核问题。The findings that stand."""
    if summary:
        boards.show_finding_counts(_home())
        return
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
def trace(
    indicator: Annotated[str, typer.Argument(help="指标代码或名称，如 gross_enrolment_preschool")],
    area: Annotated[str | None, typer.Option(help="市、县区的代码或名称；默认全市")] = None,
    period: Annotated[str | None, typer.Option(help="报告期，如 2024-2025、2024、2024Q3；默认最近一期")] = None,
    caliber: Annotated[str | None, typer.Option(help="口径代码或名称；默认为默认口径")] = None,
    cells: Annotated[int, typer.Option(min=0, help="每个文件显示多少个单元格")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="写成 JSON 文件")] = None,
    xlsx: Annotated[Path | None, typer.Option("--xlsx", help="写成 Excel 工作簿")] = None,
) -> None:
    """一个数的来历：算式、各县、文件、单元格，逐级相加核对。A figure down to the cells it rests on."""
    from pipelines.cli.trace import show_trace

    sys.exit(show_trace(_home(), indicator, area, period, caliber, cells_n=cells, json_file=json_file, workbook=xlsx))


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="要检查的文件，可以有多个")],
    bundle: Annotated[
        Path | None,
        typer.Option(help="市局下发的规则包；默认按本机配置，或当前目录的 xianbao-rules.zip", envvar="XIANBAO_BUNDLE"),
    ] = None,
    annotate: Annotated[Path | None, typer.Option(help="把标出问题的工作簿写到这个目录")] = None,
) -> None:
    """检查文件而不报送；有错误时退出码为 1。Screen files without submitting them."""
    from pipelines.cli.checking import check_files

    sys.exit(check_files(_home(), files, bundle=bundle, annotate_into=annotate))


@app.command()
def template(
    which: Annotated[str, typer.Argument(metavar="RETURN", help="报表的表号、名称或代码，如 XB02；all 为全部")],
    county: Annotated[str, typer.Option(help="县区代码或名称；all 为全部")],
    period: Annotated[str, typer.Option(help="报告期，如 2024-2025、2024、2024Q3")],
    out: Annotated[Path, typer.Option(help="写到哪个目录")],
    prefill: Annotated[bool, typer.Option(help="预填最近一次接收的学校名录")] = False,
) -> None:
    """写出填报模板。Write the official workbooks for counties to fill."""
    from pipelines.cli.templates import write_templates

    write_templates(_home(), which, county, period, out, prefill=prefill)


@app.command()
def bundle(out: Annotated[Path, typer.Option(help="规则包文件")] = Path("xianbao-rules.zip")) -> None:
    """写出规则包，供县区离线自查。Write the rule bundle with which counties check their files offline."""
    from pipelines.bundle import bundle_bytes
    from pipelines.files import replace_file

    home = _home()
    city = home.municipality.city
    try:
        replace_file(out, bundle_bytes(city.code, city.name, screen_settings(home)))
    except OSError as error:
        refuse(say(f"写不进 {out}：{error.strerror}", f"Cannot write {out}: {error.strerror}"))
    tell(say(f"已写出规则包 {out}，请发给各县区。", f"Wrote the rule bundle {out}."))


@app.command()
def indicators(
    which: Annotated[str | None, typer.Argument(help="指标代码或名称；不写则列出全部")] = None,
) -> None:
    """有哪些指标，各是怎样算的。The indicators, and how each is computed."""
    from pipelines.cli.indicators import show_indicators

    show_indicators(_home(), which)


@app.command()
def rules(
    which: Annotated[
        str | None, typer.Argument(metavar="RETURN", help="报表的表号、名称或代码，如 XB02；不写则列出各表有几条")
    ] = None,
    version: Annotated[int | None, typer.Option(help="表式的版本；默认最新")] = None,
    shape: Annotated[
        str, typer.Option("--format", help="table：逐条说明；gx：Great Expectations 能读的套件（JSON）")
    ] = "table",
    out: Annotated[Path | None, typer.Option(help="--format gx 写到哪个文件；默认写到屏幕")] = None,
) -> None:
    """一张报表的审核规则，逐条说明。The rules of a return, in words."""
    from pipelines.cli.rules import show_rules

    show_rules(which, version, shape, out)


decisions = typer.Typer(
    no_args_is_help=True, help="市局的决定：审定、退回、锁定、解锁、豁免、撤销。Decisions of the bureau."
)
app.add_typer(decisions, name="decide")


def _apply(no_run: bool) -> None:
    """Bring the warehouse in line with what was decided just now."""
    if no_run:
        tell(say("已记下，下次运行时生效。", "Recorded; the next run applies it."))
    else:
        _run(_home(), indicators=False)


@decisions.command("accept")
def decide_accept(return_name: decide.Return, county: decide.County, period: decide.Period, version: decide.Version,
                  by: decide.By, reason: decide.Reason, no_run: decide.NoRun = False) -> None:  # fmt: skip
    """审定一份填报的现行版本。Accept the version in force."""
    decide.rule_on(_home(), "accept", return_name, county, period, version, by, reason)
    _apply(no_run)


@decisions.command("return")
def decide_return(return_name: decide.Return, county: decide.County, period: decide.Period, version: decide.Version,
                  by: decide.By, reason: decide.Reason, no_run: decide.NoRun = False) -> None:  # fmt: skip
    """退回一份填报的现行版本；此前的版本恢复有效。Send the version in force back."""
    decide.rule_on(_home(), "return", return_name, county, period, version, by, reason)
    _apply(no_run)


@decisions.command("lock")
def decide_lock(period: decide.Period, by: decide.By, reason: decide.Reason, return_name: decide.SomeReturn = None,
                county: decide.SomeCounty = None, no_run: decide.NoRun = False) -> None:  # fmt: skip
    """锁定一期：先收取已送到的文件，此后收到的新版本一律不接收（--no-run 时不先收取）。Take no new versions of a period."""
    scope = decide.decided_scope(_home(), county, return_name, period)
    if not no_run:
        # What lies in an inbox was sent before the lock. A source that cannot be read is told, and keeps no period open.
        tell(say("先收取锁定前送到的文件。", "First collecting what was sent before the lock."))
        _run(_home(), indicators=False)
    decide.record(_home(), "lock", by=by, reason=reason, **scope)
    _apply(no_run)


@decisions.command("unlock")
def decide_unlock(period: decide.Period, until: decide.Until, by: decide.By, reason: decide.Reason,
                  return_name: decide.SomeReturn = None, county: decide.SomeCounty = None,
                  no_run: decide.NoRun = False) -> None:  # fmt: skip
    """在某日之前重新接收新版本。Take new versions again until a day."""
    decide.record(_home(), "unlock", by=by, reason=reason, until=until.date(),
                  **decide.decided_scope(_home(), county, return_name, period))  # fmt: skip
    _apply(no_run)


@decisions.command("waive")
def decide_waive(rule: decide.Rule, until: decide.Until, by: decide.By, reason: decide.Reason,
                 return_name: decide.SomeReturn = None, county: decide.SomeCounty = None,
                 period: decide.SomePeriod = None, no_run: decide.NoRun = False) -> None:  # fmt: skip
    """豁免一条规则：某日之前收到的文件不因它而不接收。Let filings pass that break a named rule."""
    decide.waive(_home(), rule, decide.decided_scope(_home(), county, return_name, period), until.date(), by, reason)
    _apply(no_run)


@decisions.command("revoke")
def decide_revoke(
    number: Annotated[int, typer.Argument(help="第几号决定")], by: decide.By, reason: decide.Reason,
    no_run: decide.NoRun = False,
) -> None:  # fmt: skip
    """撤销一条决定；原决定仍留在记录里。Take a decision back."""
    decide.record(_home(), "revoke", by=by, reason=reason, revokes=number)
    _apply(no_run)


@decisions.command("log")
def decide_log() -> None:
    """全部决定，并核对记录完整。Every decision, and whether the log is whole."""
    decide.show_log(_home())


policy = typer.Typer(
    no_args_is_help=True,
    help="本市的口径、标准、补助标准：检查、列出现行的。The policy of the home: check it, show it.",
)
app.add_typer(policy, name="policy")


@policy.command("check")
def policy_check() -> None:
    """检查 policy/ 下的各表，一次列出全部错误；有错误时退出码为 2。Check the tables of policy/, all mistakes at once."""
    from pipelines.cli.policy import check_policy

    check_policy(_home())


@policy.command("show")
def policy_show(
    table: Annotated[str | None, typer.Argument(help="哪张表，如 standards；默认列出各表")] = None,
) -> None:
    """现行的政策及每一行的出处。What is in force, and where each row comes from."""
    from pipelines.cli.policy import show_policy

    show_policy(_home(), table)


quarantine = typer.Typer(
    no_args_is_help=True, help="因含个人信息而隔离的文件：列出、删除。Files with something of a person in them."
)
app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def quarantine_list() -> None:
    """隔离的文件，以及哪些已经删除。Every quarantined file."""
    from pipelines.cli.quarantine import show_quarantined

    show_quarantined(_home())


@quarantine.command("erase")
def quarantine_erase(
    number: Annotated[str, typer.Argument(metavar="RECEIPT", help="回执编号（至少前四位），见 quarantine list")],
    by: Annotated[str, typer.Option(help="由谁删除（姓名）")], reason: Annotated[str, typer.Option(help="理由或文件号")],
) -> None:  # fmt: skip
    """删除一个隔离文件的原件，不能恢复；记录、审核结果和回执保留。Erase a quarantined file's bytes for good."""
    from pipelines.cli.quarantine import erase_quarantined

    erase_quarantined(_home(), number, by, reason)


@app.command()
def diff(return_name: decide.Return, county: decide.County, period: decide.Period,
         old: Annotated[int | None, typer.Option("--from", help="较早的版本号；默认倒数第二版")] = None,
         new: Annotated[int | None, typer.Option("--to", help="较新的版本号；默认最新一版")] = None) -> None:  # fmt: skip
    """两个版本之间改了哪些单元格。The cells that changed between two versions."""
    from pipelines.cli.versions import show_difference

    show_difference(_home(), return_name, county, period, old, new)


@app.command()
def rescreen(period: decide.SomePeriod = None, county: decide.SomeCounty = None,
             dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出谁会受影响，什么都不改")] = False) -> None:  # fmt: skip
    """规则变更后，重新审核 raw/ 中已有的报送件。Judge again what lies in raw/ by the rules of today."""
    from pipelines.cli.versions import show_affected

    scope = decide.scope_of(_home(), county, None, period)
    if not period and not county:
        refuse(say("请用 --period 或 --county 指明范围。", "Name a scope: --period or --county."))
    if dry_run:
        with _progress(say("试审", "Rehearsing")) as advance:
            affected = show_affected(_home(), scope["county_code"], scope["period"], progress=advance)
        sys.exit(1 if affected else 0)
    _run(_home(), again=(scope["county_code"], scope["period"]))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="写到哪个目录")],
    form: Annotated[str, typer.Option("--format", help="parquet、csv、xlsx 或 all")] = "all",
    profile: Annotated[str, typer.Option(help="internal（内部）或 public（公开，小数目隐去）")] = "internal",
    threshold: Annotated[
        int | None, typer.Option("--suppress-below", help="公开时，不足多少人的数目隐去；默认按配置")
    ] = None,
) -> None:
    """把发布的各表写成文件。Write the published tables as Parquet, CSV and workbooks."""
    from pipelines.cli.export import export_tables

    with _progress(say("写出", "Writing")) as advance:
        export_tables(_home(), out, form, profile, threshold, progress=advance)


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
    """Entry point."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Said by a process of Python's own about locks that dbt would have given back.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    listen()
    try:
        app()
    except SystemExit as leaving:
        if leaving.code not in INTERRUPTED:
            raise
        # Threads that are still building end with the process; waiting for them, or taking them apart, would not.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(leaving.code or 0))


if __name__ == "__main__":
    main()
