"""Opens counties' files in processes of their own, bounded in time, memory and in what they say, so that no file can take the run with it.

Parent side: `answers_of` (many requests, side by side), `read_files`, `task_process` (one request after the other). Child side:
`python -m pipelines.workbooks.bounded`: as JSON on the first line of standard input the task, what it needs to know and the limits; then
one JSON request a line, one JSON answer a line on standard output. A child that dies or runs over its limits answers for its one file
only and is replaced. What a task is, its own module says (`Task`): this one knows only reading.

A file is judged by the processor's time that it costs, never by the clock: a machine that stands still rejects nothing. The clock is
there for what sleeps, and what it stops is looked at again. What one county's files may cost in a batch is bounded too (`Budget`): each
next file is that of the county which has cost the least so far, and what is over the budget is left for the next batch.
"""

import importlib
import json
import logging
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.workbooks.personal_data import mask_personal
from pipelines.workbooks.workbook import Refusal, Workbook, workbook_from_json, workbook_to_json


@dataclass(frozen=True)
class ReadLimits:
    """What one file may cost; the defaults are those of a new `municipality.yaml`. `seconds`: of the processor's time."""

    file_bytes: int = 200 * 1024 * 1024
    cells: int = 2_000_000
    seconds: float = 60
    memory_bytes: int = 2048 * 1024 * 1024
    characters: int = 20_000_000

    @property
    def longest_wait_seconds(self) -> float:
        """By the clock. Without a limit of the processor's time (Windows, where a county checks its own file) the clock is all there is."""
        return self.seconds if sys.platform == "win32" else max(600.0, 10 * self.seconds)


#: What a process may say of one file.
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Budget:
    """What the files of one county, and all files, may cost in one batch: the processor's time, and what is held of them for judging.

    A county's first file is always looked at, so that every batch comes further.
    """

    county_seconds: float = math.inf
    batch_seconds: float = math.inf
    county_bytes: float = math.inf
    batch_bytes: float = math.inf


NO_BUDGET = Budget()


@dataclass(frozen=True)
class ReadRequest:
    path: Path
    name: str


class Postponed:
    """The outcome of a file that is left for the next batch: its county has used up what one batch may cost."""


POSTPONED = Postponed()


@dataclass(frozen=True)
class Task:
    """What a process is started for. `maker`: `module:function`; called once in the process with `known` and the limits (plain values), it
    gets ready, which counts against no file, and returns the function that answers a request. `most_bytes`: how long an answer may be.
    `environment`: what the process finds in its environment besides what it needs to start."""

    maker: str
    known: Mapping[str, Any] = field(default_factory=dict)
    most_bytes: int = _MOST_BYTES
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a process said of one request, what it cost (seconds of the processor's time) and how long it was (bytes)."""

    said: dict[str, Any] | Refusal
    seconds: float
    size_bytes: int = 0


#: What the reading process needs to start.
_PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP")


class _Reader:
    """One child process, started on first use and again after each death."""

    def __init__(self, task: Task, limits: ReadLimits) -> None:
        self.task, self.limits = task, limits
        self.process: subprocess.Popen[bytes] | None = None

    def _start(self) -> subprocess.Popen[bytes]:
        # Nothing of ours goes where hostile files are opened: the sources' passwords stand in the environment.
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
        environment |= self.task.environment
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.workbooks.bounded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C is for us: a reader that it ended would be taken for one that its file has killed.
            process_group=0 if sys.platform != "win32" else None,
        )
        assert process.stdin
        start = {"maker": self.task.maker, "known": self.task.known, "limits": vars(self.limits)}
        process.stdin.write(json.dumps(start).encode() + b"\n")
        return process

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | Refusal:
        """Put one request to the process; its plain answer, or why there is none."""
        return self.answer(request).said

    def answer(self, request: dict[str, Any]) -> Answer:
        """As `ask`, with what it cost."""
        most_bytes = self.task.most_bytes
        overtime = threading.Event()
        line, process = b"", None
        try:
            if self.process is None or self.process.poll() is not None:
                self.close()
                self.process = self._start()
            process = self.process

            def stop() -> None:
                overtime.set()
                process.kill()

            timer = threading.Timer(self.limits.longest_wait_seconds, stop)
            timer.start()
            try:
                assert process.stdin and process.stdout
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline(most_bytes + 1)
            finally:
                timer.cancel()
        except OSError:
            line = b""
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            seconds = float(answer["seconds"])
            if "refusal" in answer:
                refusal = workbook_from_json(answer)
                assert isinstance(refusal, Refusal)
                if refusal.technical:
                    logging.getLogger(__name__).info("%s", mask_personal(refusal.technical))
                if refusal.leaves_doubt:
                    self.close()
                return Answer(refusal, seconds)
            return Answer(answer, seconds, len(line))
        if len(line) > most_bytes:
            self.close()
            said = f"读出的内容超过 {most_bytes // 2**20} MiB"
            return Answer(Refusal("FILE-0-limits", said), self.limits.seconds)
        died_of = process.wait() if process else 0
        self.close()
        limit = self.limits.seconds
        if sys.platform != "win32" and died_of == -signal.SIGPROF:
            return Answer(Refusal("FILE-0-limits", f"读取所用的处理器时间超过 {limit:g} 秒"), limit)
        if overtime.is_set():
            waited = self.limits.longest_wait_seconds
            if sys.platform == "win32":
                return Answer(Refusal("FILE-0-limits", f"读取超过 {waited:g} 秒"), limit)
            # It slept: the machine stood still, or something keeps it from going on. The file has not been judged.
            return Answer(Refusal("FILE-0-limits", f"the reader did not answer in {waited:g} s", is_ours=True), limit)
        memory = self.limits.memory_bytes // 2**20
        return Answer(Refusal("FILE-0-limits", f"读取所需内存超过 {memory} MiB，或文件使读取程序中止"), limit)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream:
                    with suppress(OSError):  # what was still to be written has nobody to read it
                        stream.close()
            self.process = None


class _Order:
    """Which request is next: the earliest of the owner that has fewest under way, and of these has cost the least. Thread-safe."""

    def __init__(self, owners: Sequence[str], budget: Budget) -> None:
        self._waiting: dict[str, deque[int]] = {}
        for index, owner in enumerate(owners):
            self._waiting.setdefault(owner, deque()).append(index)
        self._seconds = dict.fromkeys(self._waiting, 0.0)
        self._bytes = dict.fromkeys(self._waiting, 0)
        self._under_way = dict.fromkeys(self._waiting, 0)
        self._begun: set[str] = set()
        self._budget, self._lock = budget, threading.Lock()

    def next(self) -> tuple[int, str, bool] | None:
        """Index, owner and whether it is still within the budget; None when none is left. To be ended by `charge` when it is."""
        with self._lock:
            if not self._waiting:
                return None
            owner = min(
                self._waiting, key=lambda one: (self._under_way[one], self._seconds[one], self._waiting[one][0])
            )
            index = self._waiting[owner].popleft()
            if not self._waiting[owner]:
                del self._waiting[owner]
            within = owner not in self._begun or self._is_within(owner)
            self._begun.add(owner)
            self._under_way[owner] += within
            return index, owner, within

    def _is_within(self, owner: str) -> bool:
        budget = self._budget
        return (
            self._seconds[owner] < budget.county_seconds
            and self._bytes[owner] < budget.county_bytes
            and sum(self._seconds.values()) < budget.batch_seconds
            and sum(self._bytes.values()) < budget.batch_bytes
        )

    def charge(self, owner: str, answer: Answer) -> None:
        with self._lock:
            self._seconds[owner] += answer.seconds
            self._bytes[owner] += answer.size_bytes
            self._under_way[owner] -= 1


def answers_of(
    task: Task,
    requests: Sequence[dict[str, Any]],
    limits: ReadLimits,
    *,
    owners: Sequence[str] | None = None,
    budget: Budget = NO_BUDGET,
    processes: int | None = None,
) -> Iterator[tuple[int, Answer | Postponed]]:
    """Index and answer of every request, as they come: those of `owners` (a county each) that have cost the least first. No more than a
    few wait to be taken."""
    if not requests:
        return
    number = min(processes or os.cpu_count() or 1, 4, len(requests))
    order = _Order(owners or [""] * len(requests), budget)
    done: queue.Queue[tuple[int, Answer | Postponed] | BaseException] = queue.Queue(2 * number)
    stopped = threading.Event()

    def put(one: tuple[int, Answer | Postponed] | BaseException) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                done.put(one, timeout=0.2)
                break

    def work(reader: _Reader) -> None:
        try:
            while not stopped.is_set() and (chosen := order.next()):
                index, owner, within = chosen
                if not within:
                    put((index, POSTPONED))
                    continue
                answer = reader.answer(requests[index])
                order.charge(owner, answer)
                put((index, answer))
        except BaseException as fault:  # noqa: BLE001 - raised where the answers are taken
            put(fault)

    readers = [_Reader(task, limits) for _ in range(number)]
    threads = [threading.Thread(target=work, args=(reader,), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        for _ in requests:
            one = done.get()
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        stopped.set()
        for thread, reader in zip(threads, readers, strict=True):
            while thread.is_alive():
                if (process := reader.process) is not None:
                    process.kill()  # whoever waits for its answer goes on
                thread.join(0.2)
            reader.close()


def read_files(
    requests: Sequence[ReadRequest],
    limits: ReadLimits = ReadLimits(),
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Workbook | Refusal]:
    """Yield every file's cells, or why they cannot be read, in the order of the requests."""
    plain = [{"path": str(request.path), "name": request.name} for request in requests]
    early: dict[int, Workbook | Refusal] = {}
    given = 0
    for done, (index, answer) in enumerate(answers_of(READING, plain, limits, processes=processes), start=1):
        assert isinstance(answer, Answer)
        early[index] = answer.said if isinstance(answer.said, Refusal) else workbook_from_json(answer.said)
        if progress:
            progress(done, len(requests))
        while given in early:
            yield early.pop(given)
            given += 1


#: One request → the process's plain answer, or why there is none.
Asking = Callable[[dict[str, Any]], dict[str, Any] | Refusal]


@contextmanager
def task_process(task: Task, limits: ReadLimits = ReadLimits()) -> Iterator[Asking]:
    """A process for one request after the other, each under the limits. What it raises comes back as a refusal."""
    reader = _Reader(task, limits)
    try:
        yield reader.ask
    finally:
        reader.close()


def _serve(start: dict[str, Any]) -> None:
    limits = start["limits"]
    # Windows knows no such limit: there a county checks its own file, bounded in time, bytes and cells.
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Counts what the process does, not the time that passes, and ends it whatever it is in the midst of.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    module, _, name = start["maker"].partition(":")
    run = getattr(importlib.import_module(module), name)(start["known"], limits)
    for line in sys.stdin:
        request = json.loads(line)
        before = time.process_time()
        _allow(limits["seconds"])
        try:
            answer = run(request)
        except MemoryError:
            memory = limits["memory_bytes"] // 2**20
            answer = workbook_to_json(Refusal("FILE-0-limits", f"读取所需内存超过 {memory} MiB", leaves_doubt=True))
        except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a reader raise is that file's refusal
            detail = "其中有系统不认识的写法，读取中止"
            technical = f"{type(error).__name__}: {error}"[:300]
            answer = workbook_to_json(Refusal("FILE-0-unreadable", detail, leaves_doubt=True, technical=technical))
        said = json.dumps(answer | {"seconds": time.process_time() - before}, ensure_ascii=False)
        _allow(0)
        # Half a surrogate pair, which a damaged file may hold, is no character and cannot be written.
        sys.stdout.write(said.encode("utf-8", "replace").decode() + "\n")
        sys.stdout.flush()


def _allow(seconds: float) -> None:
    """So much of the processor's time until the process ends; 0: any."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def reading(_: Mapping[str, Any], limits: Mapping[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The task of reading a file: its cells as `workbook_to_json` gives them."""
    from pipelines.workbooks.reader import read_file

    def read(request: dict[str, Any]) -> dict[str, Any]:
        outcome = read_file(
            Path(request["path"]),
            request["name"],
            max_bytes=limits["file_bytes"],
            max_cells=limits["cells"],
            max_characters=limits["characters"],
        )
        return workbook_to_json(outcome)

    return read


READING = Task("pipelines.workbooks.bounded:reading")


if __name__ == "__main__":
    _serve(json.loads(sys.stdin.readline()))
