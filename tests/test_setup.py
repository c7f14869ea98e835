"""Setting up behind a mirror of PyPI: `make setup` in a project of one small package that only the mirror has."""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.homes import PROJECT

TOOLS = PROJECT / ".venv-tools"
WHEEL = "smallthing-1.0-py3-none-any.whl"
#: A backend of the project's own, so that nothing is fetched to build it.
BACKEND = """
import zipfile
def _wheel(folder, *_):
    with zipfile.ZipFile(f"{folder}/xianbao-0-py3-none-any.whl", "w") as wheel:
        for name, text in {"METADATA": "Metadata-Version: 2.1\\nName: xianbao\\nVersion: 0\\n",
                           "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
                           "RECORD": ""}.items():
            wheel.writestr(f"xianbao-0.dist-info/{name}", text)
    return "xianbao-0-py3-none-any.whl"
build_wheel = build_editable = _wheel
"""
PYPROJECT = """
[project]
name = "xianbao"
version = "0"
requires-python = ">=3.11"
[project.optional-dependencies]
pipeline = ["smallthing==1.0"]
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def _wheel() -> bytes:
    files = {
        "smallthing.py": "",
        "smallthing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: smallthing\nVersion: 1.0\n",
        "smallthing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}\n"
        for name, text in files.items()
    )
    files["smallthing-1.0.dist-info/RECORD"] = record + "smallthing-1.0.dist-info/RECORD,,\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of an index that has the one package, at a place of its own."""
    folder = tmp_path / "mirror"
    (folder / "simple" / "smallthing").mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / WHEEL).write_bytes(_wheel())
    (folder / "simple" / "smallthing" / "index.html").write_text(
        f'<a href="../../elsewhere/{WHEEL}#sha256={hashlib.sha256(_wheel()).hexdigest()}">{WHEEL}</a>'
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock file names PyPI's own files, as ours does; no host answers to the name."""
    if not (TOOLS / "bin" / "uv").exists() or shutil.which("make") is None:
        pytest.skip("no .venv-tools (make setup) or no make here")
    folder = tmp_path / "checkout"
    (folder / "pipelines" / "warehouse").mkdir(parents=True)
    (folder / "pipelines" / "warehouse" / "dbt.py").write_text("import smallthing\n")
    shutil.copyfile(PROJECT / "Makefile", folder / "Makefile")
    (folder / ".venv-tools").symlink_to(TOOLS)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    digest = hashlib.sha256(_wheel()).hexdigest()
    (folder / "uv.lock").write_text(f"""version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "smallthing"
version = "1.0"
source = {{ registry = "https://pypi.invalid/simple" }}
wheels = [
    {{ url = "https://files.invalid/packages/{WHEEL}", hash = "sha256:{digest}", size = {len(_wheel())} }},
]

[[package]]
name = "xianbao"
version = "0"
source = {{ editable = "." }}

[package.optional-dependencies]
pipeline = [
    {{ name = "smallthing" }},
]

[package.metadata]
requires-dist = [{{ name = "smallthing", marker = "extra == 'pipeline'", specifier = "==1.0" }}]
provides-extras = ["pipeline"]
""")
    return folder


def _make_setup(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "MAKE"))}
    # A home of its own: what this machine's user has configured plays no part.
    plain |= {"HOME": str(checkout), "UV_CACHE_DIR": str(checkout / "cache"), "UV_HTTP_RETRIES": "0"}
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", "setup"],
        cwd=checkout, env=plain | environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("told_by", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "pip.conf", "uv.toml"])
def test_what_is_locked_comes_from_the_mirror_that_the_user_names(checkout: Path, mirror: str, told_by: str):
    environment = {}
    if told_by == "pip.conf":
        (checkout / ".config" / "pip").mkdir(parents=True)
        (checkout / ".config" / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {mirror}\n")
    elif told_by == "uv.toml":
        (checkout / ".config" / "uv").mkdir(parents=True)
        (checkout / ".config" / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{mirror}"\ndefault = true\n')
    else:
        environment[told_by] = mirror
    before = (checkout / "uv.lock").read_bytes()
    outcome = _make_setup(checkout, **environment)
    assert outcome.returncode == 0, outcome.stderr
    assert (checkout / ".venv" / ".set-up").exists()
    listed = subprocess.run(
        [
            checkout / ".venv" / "bin" / "python",
            "-c",
            "import smallthing; import importlib.metadata as m; m.version('xianbao')",
        ],
        check=False,
    )
    assert listed.returncode == 0
    assert (checkout / "uv.lock").read_bytes() == before


def test_a_mirror_that_has_another_file_under_the_name_is_refused(checkout: Path, mirror: str, tmp_path: Path):
    lock = checkout / "uv.lock"
    lock.write_text(lock.read_text().replace(hashlib.sha256(_wheel()).hexdigest(), "0" * 64))
    outcome = _make_setup(checkout, UV_DEFAULT_INDEX=mirror)
    assert outcome.returncode != 0
    assert "hash" in outcome.stderr.lower()
    assert not (checkout / ".venv" / ".set-up").exists()
