"""A reader of the published file never fails and never sees half a release, however often one is published."""

import threading
import time
from pathlib import Path

import duckdb

from pipelines.home import Home
from pipelines.warehouse.publish import _swap


def test_opening_never_fails_while_releases_are_swapped_in(published_home: Path, tmp_path: Path):
    import shutil

    home = Home(tmp_path)
    home.private.mkdir(parents=True)
    shutil.copyfile(Home(published_home).marts_database, home.marts_database)
    _swap(home)
    failures: list[str] = []
    reads = 0
    stop = threading.Event()

    def read() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                with duckdb.connect(str(home.published), read_only=True) as connection:
                    ((release, rows),) = connection.execute(
                        "SELECT (SELECT release_id FROM marts.release), (SELECT count(*) FROM marts.fct_indicator)"
                    ).fetchall()
                    assert release and rows > 1000
                reads += 1
            except Exception as error:
                failures.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    end = time.monotonic() + 5
    swaps = 0
    while time.monotonic() < end:
        _swap(home)
        swaps += 1
        time.sleep(0.1)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert swaps > 10
    assert reads > 20
