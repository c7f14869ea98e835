"""Printing the log of runs: the last of them, or one step by step.

Belongs here: words. What a run came to is `operations.run_log`.
"""

from datetime import datetime

from pipelines.cli.terminal import complain, console, county_text, new_table, refuse, say, tell
from pipelines.home import Home
from pipelines.operations.run_log import (
    FAILED,
    INTERRUPTED,
    KILLED,
    RUNNING,
    SUCCEEDED,
    AnswerResult,
    BuildResult,
    CollectResult,
    CopyResult,
    LatenessResult,
    PublishResult,
    RunLog,
    RunResult,
    ScreenResult,
    StepResult,
)
from pipelines.orchestration.liveness import is_alive
from pipelines.times import beijing_minute

_OUTCOMES = {
    SUCCEEDED: ("完成", "done"),
    FAILED: ("系统故障", "failed"),
    INTERRUPTED: ("被中断", "interrupted"),
    KILLED: ("进程中止", "killed"),
    RUNNING: ("正在进行", "running"),
}
_STEPS = {
    "collect": ("收取", "collect"),
    "references": ("收取对照资料", "references"),
    "lateness": ("缺报记录", "lateness"),
    "screen": ("审核", "screen"),
    "rescreen": ("补审", "rescreen"),
    "models": ("建模", "models"),
    "publish": ("发布", "publish"),
    "postgres": ("PostgreSQL 副本", "PostgreSQL copy"),
    "answers": ("发回", "answers"),
}


def show_runs(home: Home, limit: int) -> None:
    """The last runs, the newest first."""
    listed = RunLog(home.run_log).last(limit)
    if not listed:
        refuse(say("还没有运行过。请先 xianbao run。", "Nothing has been run yet: xianbao run."))
    table = new_table(
        say("运行", "Runs"),
        (say("编号", "Run"), "left"),
        (say("开始（北京）", "Began (Beijing)"), "left"),
        (say("用时（秒）", "Seconds"), "right"),
        (say("新收", "Collected"), "right"),
        (say("审核", "Screened"), "right"),
        (say("模型与检验", "Nodes"), "right"),
        (say("新发布", "Release"), "left"),
        (say("故障", "Faults"), "right"),
        (say("结果", "Outcome"), "left"),
    )
    for run in listed:
        releases = [result.release_id for result in run.of(PublishResult) if result.is_changed]
        table.add_row(
            run.run_id[:8],
            beijing_minute(run.started_at),
            _seconds(run.started_at, run.ended_at),
            str(run.collected_n),
            str(run.screened_n),
            str(run.nodes_n),
            "".join(releases),
            str(len(run.faults)) if run.faults else "",
            say(*_OUTCOMES[_outcome(home, run)]),
        )
    console.print(table)


def show_run(home: Home, run_id: str) -> None:
    """One run: what each step came to, how long it took, what failed and why."""
    found = RunLog(home.run_log).last(2, run_id)
    if len(found) != 1:
        refuse(
            say(f"没有编号以 {run_id} 开头的运行，见 xianbao runs。", f"No run begins with {run_id}: see xianbao runs.")
            if not found
            else say(f"不止一次运行的编号以 {run_id} 开头，请多写几位。", f"More than one run begins with {run_id}.")
        )
    (run,) = found
    table = new_table(
        say(f"运行 {run.run_id}", f"Run {run.run_id}"),
        (say("步骤", "Step"), "left"),
        (say("用时（秒）", "Seconds"), "right"),
        (say("结果", "Result"), "left"),
    )
    for record in run.steps:
        words = say(record.failure.chinese, record.failure.english) if record.failure else _words(record.result)
        seconds = "" if record.seconds is None else f"{record.seconds:.1f}"
        table.add_row(say(*_STEPS.get(record.step, (record.step, record.step))), seconds, county_text(words))
    console.print(table)
    tell(
        say(
            f"{beijing_minute(run.started_at)} 开始，{_OUTCOMES[_outcome(home, run)][0]}。",
            f"Began {beijing_minute(run.started_at)}: {_OUTCOMES[_outcome(home, run)][1]}.",
        )
    )
    if run.failure:
        complain(say(run.failure.chinese, run.failure.english))
    for remark in run.remarks:
        complain(remark)
    for subject, words in [*run.problems(StepResult).items(), *run.faults.items()]:
        complain(f"{subject}: {words}")


def _outcome(home: Home, run: RunResult) -> str:
    return run.outcome or (RUNNING if is_alive(home, run.run_id) else KILLED)


def _seconds(started_at: datetime, ended_at: datetime | None) -> str:
    return f"{(ended_at - started_at).total_seconds():.1f}" if ended_at else ""


def _words(result: StepResult) -> str:
    """What a step came to, in one line."""
    if isinstance(result, CollectResult):
        return say(f"看到 {result.listed_n} 个文件，新收 {result.collected_n} 件，已有 {result.known_n} 件",
                   f"{result.listed_n} files listed, {result.collected_n} new, {result.known_n} known")  # fmt: skip
    if isinstance(result, LatenessResult):
        return say(f"{result.day} 缺报 {result.late_filings_n} 份", f"{result.late_filings_n} late on {result.day}")
    if isinstance(result, ScreenResult):
        counts = [result.findings_n.get(outcome, 0) for outcome in ("error", "query", "info")]
        return say(f"审核 {result.screened_n} 件，错误 {counts[0]}、核实 {counts[1]}、提示 {counts[2]}",
                   f"{result.screened_n} screened: {counts[0]} errors, {counts[1]} queries, {counts[2]} infos")  # fmt: skip
    if isinstance(result, BuildResult):
        return say(f"构建 {result.nodes_n} 个模型与检验", f"{result.nodes_n} models and tests built")
    if isinstance(result, PublishResult | CopyResult):
        return say(f"发布 {result.release_id}" + ("" if result.is_changed else "（未变）"),
                   f"release {result.release_id}" + ("" if result.is_changed else " (unchanged)"))  # fmt: skip
    if isinstance(result, AnswerResult):
        return say(f"写出 {result.written_n} 份答复", f"{result.written_n} answers written")
    return ""
