"""Reads files in a process of its own, bounded in time and memory, so that no file can take the run with it.

Parent side: `read_files`. Child side: `python -m pipelines.screening.worker`, one JSON request a line on standard input, one
JSON answer a line on standard output. A child that dies or runs over time answers for its one file only and is replaced.
"""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.screening.workbook import Refusal, Workbook, workbook_from_json, workbook_to_json


@dataclass(frozen=True)
class ReadLimits:
    """What one file may cost; the defaults are those of a new `municipality.yaml`."""

    file_bytes: int = 200 * 1024 * 1024
    cells: int = 2_000_000
    seconds: float = 60
    memory_bytes: int = 2048 * 1024 * 1024


@dataclass(frozen=True)
class ReadRequest:
    path: Path
    name: str


#: What the reading process needs to start.
_PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP")


class _Reader:
    """One child process, started on first use and again after each death."""

    def __init__(self, limits: ReadLimits) -> None:
        self.limits = limits
        self.process: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        # Nothing of ours goes where hostile files are opened: the sources' passwords stand in the environment.
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.screening.worker", json.dumps(self.limits.__dict__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
            # Ctrl-C is for us: a reader that it ended would be taken for one that its file has killed.
            process_group=0 if sys.platform != "win32" else None,
        )

    def read(self, request: ReadRequest) -> Workbook | Refusal:
        answer = self.ask({"path": str(request.path), "name": request.name})
        return answer if isinstance(answer, Refusal) else workbook_from_json(answer)

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | Refusal:
        """Put one request to the process; its plain answer, or why there is none."""
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
        process = self.process
        overtime = threading.Event()

        def stop() -> None:
            overtime.set()
            process.kill()

        timer = threading.Timer(self.limits.seconds, stop)
        timer.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, OSError):
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            if "refusal" in answer:
                refusal = Refusal(*answer["refusal"])
                if refusal.technical:
                    logging.getLogger(__name__).info("%s", refusal.technical)
                if refusal.leaves_doubt:
                    self.close()
                return refusal
            return answer
        self.close()
        if overtime.is_set():
            return Refusal("FILE-0-limits", f"读取超过 {self.limits.seconds:g} 秒")
        return Refusal(
            "FILE-0-limits", f"读取所需内存超过 {self.limits.memory_bytes // 2**20} MiB，或文件使读取程序中止"
        )

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream:
                    stream.close()
            self.process = None


@contextmanager
def _readers(limits: ReadLimits, number: int) -> Iterator["queue.Queue[_Reader]"]:
    readers = [_Reader(limits) for _ in range(number)]
    free: queue.Queue[_Reader] = queue.Queue()
    for reader in readers:
        free.put(reader)
    try:
        yield free
    finally:
        for reader in readers:
            reader.close()


def read_files(
    requests: Sequence[ReadRequest],
    limits: ReadLimits = ReadLimits(),
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Workbook | Refusal]:
    """Yield one outcome a request, in the order of the requests."""
    number = min(processes or os.cpu_count() or 1, 4, max(1, len(requests)))
    with _readers(limits, number) as free, ThreadPoolExecutor(number) as pool:

        def read(request: ReadRequest) -> Workbook | Refusal:
            reader = free.get()
            try:
                return reader.read(request)
            finally:
                free.put(reader)

        for done, outcome in enumerate(pool.map(read, requests), start=1):
            if progress:
                progress(done, len(requests))
            yield outcome


#: Task and its arguments → the process's plain answer, or why there is none.
Tasks = Callable[[str, dict[str, Any]], dict[str, Any] | Refusal]


@contextmanager
def task_process(limits: ReadLimits = ReadLimits()) -> Iterator[Tasks]:
    """A process for tasks on counties' files, one after the other, each under the limits of reading.

    The one task is `annotate` (see `pipelines.documents.annotated`). What the process raises comes back as a refusal.
    """
    reader = _Reader(limits)
    try:
        yield lambda task, arguments: reader.ask({"task": task, "arguments": arguments})
    finally:
        reader.close()


def _run(task: str, arguments: dict[str, Any], limits: dict[str, Any]) -> str:
    if task != "annotate":
        raise ValueError(task)
    from pipelines.documents.annotated import annotate_here

    return json.dumps(annotate_here(arguments, limits), ensure_ascii=False)


def _answer(outcome: Workbook | Refusal) -> str:
    return json.dumps(workbook_to_json(outcome), ensure_ascii=False)


def _serve(limits: dict[str, Any]) -> None:
    from pipelines.screening.reader import read_file

    # Windows knows no such limit: there a county checks its own file, bounded in time, bytes and cells.
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = (
                _run(request["task"], request["arguments"], limits)
                if "task" in request
                else _answer(
                    read_file(
                        Path(request["path"]),
                        request["name"],
                        max_bytes=limits["file_bytes"],
                        max_cells=limits["cells"],
                    )
                )
            )
        except MemoryError:
            memory = limits["memory_bytes"] // 2**20
            answer = _answer(Refusal("FILE-0-limits", f"读取所需内存超过 {memory} MiB", leaves_doubt=True))
        except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a reader raise is that file's refusal
            detail = "其中有系统不认识的写法，读取中止"
            answer = _answer(
                Refusal(
                    "FILE-0-unreadable", detail, leaves_doubt=True, technical=f"{type(error).__name__}: {error}"[:300]
                )
            )
        # Half a surrogate pair, which a damaged file may hold, is no character and cannot be written.
        sys.stdout.write(answer.encode("utf-8", "replace").decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
