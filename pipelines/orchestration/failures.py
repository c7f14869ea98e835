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
            run_id=run.run_id,
            counties=frozenset(news.split(",")) if news else None,
            ended_at=record.end_time or record.update_timestamp.timestamp(),
            words=_words(instance, run.run_id)
            or ("已取消" if run.status is dg.DagsterRunStatus.CANCELED else "原因不明"),
        )
    return None


def _words(instance: dg.DagsterInstance, run_id: str) -> str:
    """The innermost cause of the first step that failed, else of the run, on one line."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.dagster_event
            if event is None:
                continue
            error = (
                event.step_failure_data.error
                if kind is dg.DagsterEventType.STEP_FAILURE
                else event.job_failure_data.error
            )
            while error is not None and error.cause is not None:
                error = error.cause
            text = " ".join((error.message if error is not None else event.message or "").split())
            if text:
                return text[:_LONGEST]
    return ""
