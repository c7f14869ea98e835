"""Why the last run failed, from Dagster's books.

Belongs here: reading them. What is done about it is the business of `sources`.
"""

import dagster as dg

from pipelines.orchestration.sources import Failure

_LONGEST = 200


def last_failure(instance: dg.DagsterInstance, job_name: str) -> Failure | None:
    """The newest run of a job, where it came to an end and failed; None when it succeeded, is under way, or there is none."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1):
        run = record.dagster_run
        if run.status not in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
            return None
        news = run.tags.get("xianbao/news")
        return Failure(
            counties=frozenset(news.split(",")) if news else None,
            ended_at=record.end_time or record.update_timestamp.timestamp(),
            words=_words(instance, run.run_id)
            or ("已取消" if run.status is dg.DagsterRunStatus.CANCELED else "原因不明"),
        )
    return None


def _words(instance: dg.DagsterInstance, run_id: str) -> str:
    """The innermost cause of the first step that failed, on one line; else why the run did not even begin, or came to its end."""
    told = ""
    # A run that cannot read its configuration has no step: Dagster's engine says why it did not begin.
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE):
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.dagster_event
            error = getattr(event.event_specific_data, "error", None) if event is not None else None
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None:
                return _innermost(error.message)[:_LONGEST]
            if event is not None and kind is dg.DagsterEventType.RUN_FAILURE:
                told = told or " ".join((event.message or "").split())
    return told[:_LONGEST]


def _innermost(message: str) -> str:
    """The words of the cause that a message tells last: of what failed in another process the causes arrive as one text."""
    cause = message.rsplit("caused by the following exception:\n", maxsplit=1)[-1]
    return " ".join(cause.split("\nStack Trace:")[0].split())
