"""A home: the folder that holds one municipality's configuration, its `raw/` and its `warehouse/`.

Belongs here: where things lie, and the reading of the home's configuration against the declared returns. What is in the files is
the business of the modules that own them.

    municipality.yaml           configuration
    policy/                     what the bureau decides and is told: standards, calibers, tiers (over the shipped defaults)
    counties/…                  (sample only) the counties' inboxes
    raw/                        what cannot be recomputed
    warehouse/xianbao.duckdb    the published file
    warehouse/xianbao.manifest.json, .docs.html   what it was made of, and what its tables mean
    warehouse/xianbao_changes.duckdb              comparisons of releases
    warehouse/releases/         earlier releases
    warehouse/outbox/           receipts and annotated workbooks, by county, each with an index.html
    warehouse/private/          the build database, the unpublished marts, caches: nobody but the pipeline opens these
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pipelines.decisions import DecisionLog
from pipelines.files import aside_name, closed_to_others, sync_folder
from pipelines.municipality import Municipality, load_municipality
from pipelines.returns import current_definitions
from pipelines.times import beijing_minute

PROJECT = Path(__file__).resolve().parents[1]
#: The page in every county's outbox that leads to all else there.
OUTBOX_INDEX = "index.html"
#: Names that answers in an outbox have, or had.
ANSWER_NAME = re.compile(r"_回执\.(?:html|json)$|_标注_.*\.xlsx$")


def is_answer(name: str) -> bool:
    """Whether a file in an outbox goes by a name that we give."""
    return name == OUTBOX_INDEX or ANSWER_NAME.search(name) is not None


class HomeBusy(RuntimeError):
    """This home's warehouse cannot be written now: another run does and did not end in time, or the folder is not there to be
    written; nothing was done (Chinese)."""


#: (thread, lock file) → how many times over that thread holds it.
_held: dict[tuple[int, str], int] = {}


@dataclass(frozen=True)
class Home:
    """Paths of one home, and its configuration. `policy_defaults`: the tables of policy that ship with the product; of another day
    where the warehouse of that day is made again."""

    root: Path
    policy_defaults: Path = PROJECT / "pipelines" / "policy" / "defaults"

    @staticmethod
    def default() -> "Home":
        """`XIANBAO_HOME`, or the checkout itself."""
        return Home(Path(os.environ.get("XIANBAO_HOME") or PROJECT).resolve())

    def make_root(self) -> None:
        """Make the home's folder where there is none: whatever the umask, everybody can come by to the published file."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o755)

    @property
    def configuration(self) -> Path:
        return self.root / "municipality.yaml"

    @property
    def policy(self) -> Path:
        return self.root / "policy"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def private(self) -> Path:
        return self.warehouse / "private"

    @property
    def postponed(self) -> Path:
        """Which submissions the last run left for the next one; not there when none."""
        return self.private / "postponed.json"

    @property
    def run_log(self) -> Path:
        """What each run did."""
        return self.private / "runs.sqlite"

    @property
    def build_database(self) -> Path:
        return self.private / "build.duckdb"

    @property
    def marts_database(self) -> Path:
        return self.private / "unpublished.duckdb"

    @property
    def outbox(self) -> Path:
        """What goes back to the counties, a folder each."""
        return self.warehouse / "outbox"

    @property
    def published(self) -> Path:
        return self.warehouse / "xianbao.duckdb"

    @property
    def documentation(self) -> Path:
        """What every published table and column means and is made of, as a page."""
        return self.warehouse / "xianbao.docs.html"

    @property
    def manifest(self) -> Path:
        """What the published file was made of."""
        return self.warehouse / "xianbao.manifest.json"

    @property
    def comparisons(self) -> Path:
        """What changed between releases that were compared, as tables."""
        return self.warehouse / "xianbao_changes.duckdb"

    @property
    def for_all(self) -> tuple[Path, ...]:
        """What everybody on the machine may read; all else in `raw/` and `warehouse/` is the pipeline's alone."""
        return (self.published, self.manifest, self.documentation, self.comparisons)

    @property
    def decisions(self) -> DecisionLog:
        """What the bureau has decided on filings."""
        return DecisionLog(self.raw)

    @cached_property
    def reply_key(self) -> str:
        """The secret by which a reply is known to answer a query that this home asked; made once, kept in `raw/`."""
        path = self.raw / "reply.key"
        if not path.exists():
            self.raw.mkdir(parents=True, exist_ok=True)
            aside = self.raw / aside_name("reply.key")
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(aside, path)  # whoever comes first has made it
            except FileExistsError:
                pass
            finally:
                aside.unlink()
            sync_folder(self.raw)
        return path.read_text(encoding="ascii").strip()

    @cached_property
    def municipality(self) -> Municipality:
        """The configuration. Raises ConfigurationError with file, line and remedy of everything that is wrong."""
        returns = {code: defined.period_types for code, defined in current_definitions().items()}
        return load_municipality(self.configuration, returns)

    @contextmanager
    def writing(self, *, wait_seconds: float = 600, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the one right to write this home's warehouse; released by the kernel however the process ends.

        A run holds it from its first step to its last, rebuilds and runs on the command line alike; who holds it may take it again
        in the same thread. `waiting` is told once (in Chinese) who holds it. Raises HomeBusy after `wait_seconds`.
        """
        key = (threading.get_ident(), str(self.root))
        if key in _held:
            _held[key] += 1
            try:
                yield
            finally:
                _held[key] -= 1
            return
        try:
            descriptor = self._locked(wait_seconds, waiting)
        except OSError as error:
            raise HomeBusy(
                f"系统故障，不是县区的错：写不进 {self.private}（{error.strerror}）；本次什么都没有做，排除后再运行。"
            ) from error
        _held[key] = 1
        try:
            with closed_to_others():
                yield
        finally:
            del _held[key]
            os.close(descriptor)

    def _locked(self, wait_seconds: float, waiting: Callable[[str], None] | None) -> int:
        """The descriptor of the lock file, locked, with the process and the time in it for those who wait."""
        import fcntl  # not on Windows, where counties check their files

        self.private.mkdir(parents=True, exist_ok=True)
        path = self.private / "writer.lock"
        deadline = time.monotonic() + wait_seconds
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "进程号不详"
                os.close(descriptor)
                if waiting is not None:
                    waiting(holder)
                    waiting = None
                if time.monotonic() > deadline:
                    raise HomeBusy(
                        f"另一次运行（{holder}）正在写这个主目录，等了 {wait_seconds:g} 秒还没有结束；本次什么都没有做，请等它结束后再试。"
                    ) from None
                time.sleep(0.2)
                continue
            try:  # somebody may have taken the folder away, and others lock another file by now
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    break
            except FileNotFoundError:
                self.private.mkdir(parents=True, exist_ok=True)
            os.close(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            f"进程号 {os.getpid()}，{beijing_minute(datetime.now(UTC).replace(tzinfo=None))} 起\n".encode(),
            0,
        )
        return descriptor
