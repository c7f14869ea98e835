"""Homes that several tests look at, each made once for all worker processes. A test never changes a shared home."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.homes import CENSUS, run_sample_home

# Pools of threads per worker process would fight over the cores that the workers already use.
os.environ.setdefault("POLARS_MAX_THREADS", "2")
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _shared(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    base = tmp_path_factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = root / name
    with _alone(root / f"{name}.lock"):
        if not (folder / "ready").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The faultless sample of all fourteen counties, run through the job and published; the census beside it where it is."""
    return _shared(tmp_path_factory, "published_home", lambda folder: run_sample_home(folder, faults=False))


@pytest.fixture(scope="session")
def faulty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with its documented faults, run through the job and published."""
    return _shared(tmp_path_factory, "faulty_home", lambda folder: run_sample_home(folder, faults=True))


@pytest.fixture
def census_workbook() -> Path:
    """The published census by county; it is not part of the repository."""
    if not CENSUS.exists():
        pytest.skip("the 2020 census workbook is not beside this checkout (../shared/data/census)")
    return CENSUS
