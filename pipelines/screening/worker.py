"""Reads files in a process of its own, bounded in time and memory, so that no file can take the run with it.

Parent side: `read_files`. Child side: `python -m pipelines.screening.worker`, one JSON request a line on standard input, one
JSON answer a line on standard output. A child that dies or runs over time answers for its one file only and is replaced.
"""

import json
import os
import queue
import resource
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
_PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


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
        )

    def read(self, request: ReadRequest) -> Workbook | Refusal:
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
            process.stdin.write(json.dumps({"path": str(request.path), "name": request.name}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (BrokenPipeError, OSError):
            answer = ""
        finally:
            timer.cancel()
        if answer.endswith("\n"):
            outcome = workbook_from_json(json.loads(answer))
            if isinstance(outcome, Refusal):
                self.close()  # what refused may have left the readers in any state: the next file gets a fresh process
            return outcome
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


def _answer(outcome: Workbook | Refusal) -> str:
    return json.dumps(workbook_to_json(outcome), ensure_ascii=False)


def _serve(limits: dict[str, Any]) -> None:
    from pipelines.screening.reader import read_file

    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(
                read_file(
                    Path(request["path"]), request["name"], max_bytes=limits["file_bytes"], max_cells=limits["cells"]
                )
            )
        except MemoryError:
            answer = _answer(Refusal("FILE-0-limits", f"读取所需内存超过 {limits['memory_bytes'] // 2**20} MiB"))
        except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a reader raise is that file's refusal
            answer = _answer(Refusal("FILE-0-unreadable", f"读取失败（{type(error).__name__}：{str(error)[:120]}）"))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
