"""How long the main job takes, beside a floor written by hand, all in one run on one machine.

    .venv/bin/python -m benchmarks.main_job [--drops 5]

Measured: one workbook from drop to published through a real daemon with Dagster's stock launcher; the whole sample's backlog in
one run of the command; and the floor: the same workbooks read with calamine into Polars, the same sums made and written with
DuckDB by hand, without a rule, a finding or a model. The floor is what the machine allows, not what the job could do.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.cli.running import dagster_environment
from pipelines.home import PROJECT, Home
from pipelines.releases.publish import published_release
from pipelines.sample import write_sample, write_sample_municipality

_PATIENCE_SECONDS = 300


def _environment(home: Home) -> dict[str, str]:
    for name in ("DAGSTER_HOME", "XIANBAO_STATE", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    return dict(os.environ) | dagster_environment(home)


def backlog(home: Home) -> tuple[int, float]:
    """Files and seconds of `xianbao run` on a home that holds the whole sample and has published nothing."""
    files = sum(1 for path in (home.root / "counties").rglob("*") if path.is_file() and not path.name.startswith("."))
    start = time.monotonic()
    command = [str(Path(sys.executable).with_name("xianbao")), "--home", str(home.root), "run"]
    subprocess.run(command, env=_environment(home), check=True, stdout=subprocess.DEVNULL)
    return files, time.monotonic() - start


def floor(home: Home) -> float:
    """Seconds to read every workbook of the home, sum one column by stage, and write the sums, in a fresh process."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "benchmarks.floor", str(home.root)], cwd=PROJECT, check=True)
    return time.monotonic() - start


def drops(home: Home, number: int, spare: list[Path]) -> list[float]:
    """Seconds from a file's appearance in an inbox to a new release, for each of a number of drops."""
    environment = _environment(home)
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "pipelines.definitions"],
        cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    took: list[float] = []
    try:
        time.sleep(30)  # the daemon loads its code; what is measured is a daemon at work
        for file in spare[:number]:
            before = published_release(home)
            target = home.root / "counties" / file.parent.name / file.name
            aside = target.with_name(f".{target.name}.part")
            shutil.copy2(file, aside)
            start = time.monotonic()
            aside.replace(target)
            while published_release(home) == before:
                if time.monotonic() - start > _PATIENCE_SECONDS:
                    raise TimeoutError(file.name)
                time.sleep(0.1)
            took.append(time.monotonic() - start)
            time.sleep(8)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    return took


def main() -> None:
    """Run all three and print them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--drops", type=int, default=5)
    number = parser.parse_args().drops
    with tempfile.TemporaryDirectory() as folder:
        home, aside = Home(Path(folder) / "home"), Path(folder) / "aside"
        home.root.mkdir()
        write_sample_municipality(home.configuration, received_at="modified")
        write_sample(home.root)
        # Kept back for the drops: the last quarter of as many counties as there are drops.
        spare = []
        for inbox in sorted((home.root / "counties").iterdir()):
            for file in sorted(inbox.glob("*2024Q4*")) + sorted(inbox.glob("*2024年第4季度*")):
                target = aside / inbox.name / file.name
                target.parent.mkdir(parents=True)
                shutil.move(file, target)
                spare.append(target)
                break
        files, seconds = backlog(home)
        floor_seconds = floor(home)
        print(
            f"backlog: {files} files in {seconds:.1f} s; floor {floor_seconds:.1f} s; ratio {seconds / floor_seconds:.1f}"
        )
        took = drops(home, min(number, len(spare)), spare)
        print(
            f"drop to published: n={len(took)} median {statistics.median(took):.1f} s, "
            f"min {min(took):.1f}, max {max(took):.1f}"
        )


if __name__ == "__main__":
    main()
