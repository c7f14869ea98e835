"""A reader of the published file never fails and never sees half a release, however often one is published.

By default a few seconds; `XIANBAO_READERS_SECONDS=60 pytest -s tests/integration/test_readers.py` is the long one and prints its
figures.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from pipelines.home import Home
from pipelines.releases.publish import swap_in

SECONDS = float(os.environ.get("XIANBAO_READERS_SECONDS") or 6)
EVERY_SECONDS = 0.5
READERS = 4
#: Opens, reads the mark of the release in two tables and in a view, closes; over and over until the file to stop by is there.
READER = """
import duckdb, json, sys, pathlib
published, stop = sys.argv[1], pathlib.Path(sys.argv[2])
reads, failed, mixed, seen = 0, [], [], set()
while not stop.exists():
    connection = None
    try:
        connection = duckdb.connect(published, read_only=True)
        ((release,),) = connection.execute("SELECT release_id FROM marts.release").fetchall()
        ((least, most, rows),) = connection.execute("SELECT min(formula), max(formula), count(*) FROM marts.fct_indicator").fetchall()
        ((again,),) = connection.execute('SELECT "发布编号" FROM "指标"."发布"').fetchall()
    except Exception as error:
        failed.append([len(seen), repr(error)])
        continue
    finally:
        if connection is not None:
            connection.close()
    reads += 1
    seen.add(release)
    if not release == least == most == again or rows < 1000:
        mixed.append([release, least, most, again, rows])
print(json.dumps({"reads": reads, "failed": failed, "mixed": mixed, "releases": len(seen)}))
"""


def test_opening_never_fails_and_no_release_is_mixed_while_releases_are_swapped_in(
    published_home: Path, tmp_path: Path
):
    home = Home(tmp_path)
    home.private.mkdir(parents=True)
    shutil.copyfile(Home(published_home).marts_database, home.marts_database)

    def publish_release(number: int) -> None:
        """Another release: its id stands in the release table and in every row of the facts."""
        with duckdb.connect(str(home.marts_database)) as connection:
            connection.execute("UPDATE marts.release SET release_id = ?", [f"release {number}"])
            connection.execute("UPDATE marts.fct_indicator SET formula = ?", [f"release {number}"])
            connection.execute("CHECKPOINT")
        swap_in(home)

    publish_release(0)
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(home.published), str(stop)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(READERS)
    ]
    try:
        start = time.monotonic()
        releases = 0
        while time.monotonic() - start < SECONDS:
            releases += 1
            publish_release(releases)
            time.sleep(max(0.0, start + releases * EVERY_SECONDS - time.monotonic()))
    finally:
        stop.touch()
        told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    print(f"{releases} releases, {[one['reads'] for one in told]} reads")
    assert [failure for one in told for failure in one["failed"]] == []
    assert [read for one in told for read in one["mixed"]] == []
    assert releases >= SECONDS / EVERY_SECONDS / 4
    assert all(one["reads"] > SECONDS and one["releases"] > 1 for one in told)
