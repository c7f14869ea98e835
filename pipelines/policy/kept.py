"""What of policy was in force when: every version that a run went by, in `raw/`, since nobody could compute it again.

    raw/policy/000001.json      one version: since when it is known, and which files it is made of
    raw/policy/held/<sha256>    these files, the shipped defaults of then among them

Belongs here: keeping and finding versions. A version is a set of files by SHA-256, `home/<file>` and `defaults/<file>` of policy, and what
else the home declares itself: `indicators/<file>`, `returns/<file>`, `expectations/<file>`. That is what a release's manifest names.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.municipality import Problem
from pipelines.policy.in_force import PolicyError, PolicyFiles, own_folders
from pipelines.times import utc

#: What lies in `raw/` is read by these for ever.
_NEVER_GIVEN_UP = ("returns", "expectations")


class PolicyLost(RuntimeError):
    """A version of policy in `raw/` cannot be read, or a file of it is gone or altered; `raw/` must be restored (Chinese)."""


@dataclass(frozen=True)
class PolicyVersion:
    """One version. `known_at`: UTC, when a run first went by it; `files`: part and name → SHA-256."""

    number: int
    known_at: str
    files: dict[str, str]


def versions(home: Home) -> Iterator[PolicyVersion]:
    """Every version, oldest first. Raises PolicyLost."""
    for path in sorted(_folder(home).glob("[0-9]*.json")):
        try:
            yield PolicyVersion(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise PolicyLost(f"{path}：政策版本读不出来（{error}）。请从备份恢复整个 raw/。") from None


def keep(home: Home, files: PolicyFiles) -> PolicyVersion:
    """Keep what a run goes by; nothing is written where it is what the newest version is. The caller holds `home.writing()`."""
    known = list(versions(home))
    sha256 = files.sha256
    if known and known[-1].files == sha256:
        return known[-1]
    contents = {f"{part}/{name}": content for part, held in files.parts.items() for name, content in held.items()}
    for name, content in contents.items():
        path = _held(home, sha256[name])
        if not path.exists():
            replace_file(path, content)
    number = known[-1].number + 1 if known else 1
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    version = PolicyVersion(number, now, sha256)
    replace_file(
        _folder(home) / f"{number:06d}.json",
        (json.dumps(asdict(version), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode(),
    )
    return version


def refuse_lost(home: Home) -> None:
    """A folder of policy that was gone by, or a file of a home's own return, and is not there has been lost: figures would fall back to
    the defaults, filings would be of no known form, without a word. Raises PolicyError, PolicyLost."""
    newest = next(reversed(list(versions(home))), None)
    used = [name for name in newest.files if not name.startswith("defaults/")] if newest else []
    problems = []
    if used and not home.policy.exists():
        message = f"文件夹不见了，而上次运行用过其中的 {len(used)} 个文件"
        remedy = "从备份恢复这个文件夹；确实只用全国默认值的，建一个空的文件夹"
        problems.append(Problem(str(home.policy), None, message, remedy))
    folders = own_folders(home)
    for name in used:
        part, _, file = name.partition("/")
        if newest and part in _NEVER_GIVEN_UP and not (folders[part] / file).exists():
            held = _held(home, newest.files[name])
            message = "文件不见了，而按它报送过"
            remedy = f"从备份恢复，或由 {held} 复制；不再填报的报表，从 municipality.yaml 的日历里撤下，文件留着"
            problems.append(Problem(str(folders[part] / file), None, message, remedy))
    if problems:
        raise PolicyError(problems)


def known_by(home: Home, moment: datetime) -> PolicyVersion | None:
    """The newest version that was known by a moment (UTC without zone); the first, where none was yet; None where none is kept."""
    known = list(versions(home))
    return next((one for one in reversed(known) if utc(one.known_at) <= moment), known[0] if known else None)


def held_files(home: Home, files: Mapping[str, str]) -> PolicyFiles:
    """The files of a version; those of today for a release that names none, which is older than the keeping. Raises PolicyLost."""
    if not files:
        return PolicyFiles.of_home(home)
    parts: dict[str, dict[str, bytes]] = {part: {} for part in ("home", "defaults", *own_folders(home))}
    for place, sha256 in files.items():
        part, _, name = place.partition("/")
        path = _held(home, sha256)
        if not path.exists() or hashlib.sha256(content := path.read_bytes()).hexdigest() != sha256:
            raise PolicyLost(f"{path}：当时的政策文件 {name} 不见了，或被改动。请从备份恢复整个 raw/。")
        parts[part][name] = content
    return PolicyFiles(parts.pop("home"), parts.pop("defaults"), own=parts)


def home_with(root: Path, files: PolicyFiles) -> Home:
    """A home at `root` that goes by these files and no others."""
    home = Home(root, policy_defaults=root / "policy_defaults")
    own = [(folder, files.own.get(part, {})) for part, folder in own_folders(home).items()]
    for folder, contents in [(home.policy, files.home), (home.policy_defaults, files.defaults), *own]:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*folder.glob("*.csv"), *folder.glob("*.yaml")):
            path.unlink()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    return home


def _folder(home: Home) -> Path:
    return home.raw / "policy"


def _held(home: Home, sha256: str) -> Path:
    return _folder(home) / "held" / sha256
