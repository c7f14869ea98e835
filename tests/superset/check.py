"""The bundle in a live Superset: imported, every chart queried over REST, every dashboard drawn. `make test-superset` runs it.

    python tests/superset/check.py --superset .venv-superset/bin --out FOLDER [--home HOME]

Without `--home` the sample is made, run and published first. Outside the default suite: Superset needs an environment of its own
(700 MB) and a minute to set itself up. Screenshots are left in FOLDER, to be looked at.
"""

import argparse
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bi" / "superset"))
from bundle import DASHBOARDS, FOLDER, zip_bundle  # noqa: E402

USER = "admin"


def published_file(home: Path) -> Path:
    """The published file of a home; the sample's when there is nothing in it."""
    file = home / "warehouse" / "xianbao.duckdb"
    if not file.exists():
        xianbao = [sys.executable, "-m", "pipelines.cli.main", "--home", str(home)]
        for command in ("sample", "run"):
            subprocess.run([*xianbao, command], check=True, cwd=ROOT)
    return file


@contextlib.contextmanager
def running_superset(programs: Path, state: Path, password: str) -> Iterator[str]:
    """A Superset with an administrator, on a port of its own; gives its address."""
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(Path(__file__).with_name("superset_config.py")),
        "XIANBAO_SUPERSET_SECRET": secrets.token_hex(32),
        "XIANBAO_SUPERSET_STATE": str(state),
        "FLASK_APP": "superset.app:create_app()",
        "SUPERSET_HOME": str(state),
    }
    superset = str(programs / "superset")
    names = ["--username", USER, "--firstname", "市教育局", "--lastname", "管理员", "--email", "admin@example.invalid"]
    with (state / "log").open("w") as log:
        for words in (["db", "upgrade"], ["fab", "create-admin", *names, "--password", password], ["init"]):
            subprocess.run([superset, *words], check=True, env=environment, stdout=log, stderr=log)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [superset, "run", "-p", str(port), "--with-threads"], env=environment, stdout=log, stderr=log
        )
        try:
            until = time.monotonic() + 120
            while True:
                with contextlib.suppress(requests.ConnectionError):
                    if requests.get(f"{url}/health", timeout=5).ok:
                        break
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"Superset did not start:\n{(state / 'log').read_text()[-3000:]}")
                time.sleep(0.5)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def signed_in(url: str, password: str) -> requests.Session:
    session = requests.Session()
    login = {"username": USER, "password": password, "provider": "db", "refresh": False}
    token = session.post(f"{url}/api/v1/security/login", json=login, timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    session.headers["X-CSRFToken"] = session.get(f"{url}/api/v1/security/csrf_token/", timeout=60).json()["result"]
    session.headers["Referer"] = url
    return session


def imported(session: requests.Session, url: str, archive: Path) -> None:
    with archive.open("rb") as stream:
        answer = session.post(
            f"{url}/api/v1/dashboard/import/", files={"formData": (archive.name, stream, "application/zip")},
            data={"overwrite": "true"}, timeout=120,
        )  # fmt: skip
    if not answer.ok:
        raise SystemExit(f"import: {answer.status_code} {answer.text[:2000]}")


def troubles_of_charts(session: requests.Session, url: str) -> list[str]:
    """What is wrong with any chart's data; says how many rows each has."""
    charts = session.get(f"{url}/api/v1/chart/?q=(page_size:100)", timeout=60).json()["result"]
    titles = {chart.title for _, rows in DASHBOARDS.values() for row in rows for chart in row}
    troubles = [f"not imported: {title}" for title in titles - {chart["slice_name"] for chart in charts}]
    for chart in charts:
        answer = session.get(f"{url}/api/v1/chart/{chart['id']}/data/", timeout=120)
        result = answer.json().get("result", [{}])[0] if answer.ok else {}
        print(f"  {chart['slice_name']}: {result.get('status')}, {result.get('rowcount')} rows")
        if result.get("status") != "success" or not result.get("rowcount"):
            troubles.append(f"{chart['slice_name']}: {answer.text[:500]}")
    return troubles


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--superset", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--home", type=Path)
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(12)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        published = published_file(given.home or state / "home").resolve()
        archive = state / "xianbao-superset.zip"
        zip_bundle(published, archive)
        with running_superset(given.superset.absolute(), state, password) as url:
            session = signed_in(url, password)
            imported(session, url, archive)
            imported(session, url, archive)  # once more: it replaces, and doubles nothing
            troubles = troubles_of_charts(session, url)
            slugs = [YAML(typ="safe").load(FOLDER / "dashboards" / f"{name}.yaml")["slug"] for name in DASHBOARDS]
            found = session.get(f"{url}/api/v1/dashboard/", timeout=60).json()["result"]
            if sorted(one["slug"] for one in found) != sorted(slugs):
                troubles.append(f"dashboards: {[one['slug'] for one in found]}")
            drawn = subprocess.run(
                [str(given.superset / "python"), str(Path(__file__).with_name("screenshots.py")), url, USER, password, str(given.out), *slugs],
                check=False,
            )  # fmt: skip
            troubles += ["screenshots"] if drawn.returncode else []
    print("\n".join(troubles) or f"{len(slugs)} dashboards imported, queried and drawn: {given.out}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
