"""What stands in the way of a published file is told in one sentence, with what to do: real files, real locks, and messages that
take another machine to come by."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import Home
from pipelines.releases.publish import published_release
from pipelines.warehouse.opened import FileUnusable, in_words, opened
from tests.homes import small_home


@contextmanager
def held(file: Path, program: str = sys.executable) -> Iterator[int]:
    """Another process has the file open for writing, as a client does that was not told to read only; its PID."""
    text = f"import duckdb; c = duckdb.connect({str(file)!r}); print(flush=True); input()"
    with subprocess.Popen([program, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a published file of two tables."""
    home = small_home(tmp_path, [("140926", "静乐县", "Jingle")])
    home.warehouse.mkdir()
    with duckdb.connect(str(home.published)) as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.release AS SELECT 'abcd' AS release_id")
        connection.execute(
            """CREATE TABLE marts.mart_submission_status AS
               SELECT 'school' AS return_code, md5(i::VARCHAR) AS period, i AS due_on FROM range(200000) AS t(i)"""
        )
    return home


def asked(home: Home, *arguments: str, lang: str = "zh") -> tuple[int, str]:
    """Exit code and output of a command."""
    result = CliRunner().invoke(app, ["--home", str(home.root), "--lang", lang, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


READING = (
    ["status"], ["findings"], ["findings", "--summary"], ["show", "gross_enrolment_preschool"],
    ["trace", "gross_enrolment_preschool", "--area", "静乐县", "--period", "2024-2025"],
    ["diff", "XB02", "--county", "静乐县", "--period", "2024-2025"],
    ["export", "--out", "OUT"], ["export", "--out", "OUT", "--profile", "public"],
    ["template", "XB01", "--county", "静乐县", "--period", "2024-2025", "--out", "OUT", "--prefill"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=[" ".join(one[:4]) for one in READING])
def test_every_command_says_who_holds_the_published_file(home: Home, tmp_path: Path, arguments: list[str]):
    arguments = [str(tmp_path / "out") if one == "OUT" else one for one in arguments]
    with held(home.published) as process:
        code, output = asked(home, *arguments)
        english_code, english = asked(home, *arguments, lang="en")
    lines = output.strip().splitlines()
    assert (code, len(lines)) == (2, 1), output
    assert f"进程号 {process}" in output and str(home.published) in output and "只读" in output
    assert not re.search("IO Error|Traceback|Exception|Conflicting", output + english)
    assert (
        english_code == 2
        and f"PID {process}" in english
        and not re.search("[一-鿿]", english.replace(str(tmp_path), ""))
    )


def test_a_run_waits_for_no_client_and_a_release_is_known_by_its_manifest_meanwhile(home: Home):
    home.manifest.write_text('{"release_id": "abcd"}')
    with held(home.published):
        assert published_release(home) == "abcd"
        home.manifest.unlink()
        assert published_release(home) is None


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[20_000:200_000:1000] = bytes(len(range(20_000, 200_000, 1000)))
    file.write_bytes(content)


def of_a_later_version(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[12] = 200
    file.write_bytes(content)


def replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def without_its_tables(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP SCHEMA marts CASCADE")


def without_a_column(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE marts.mart_submission_status DROP COLUMN due_on")


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (Path.unlink, 2, "请先运行 xianbao run"),
        (replaced_by_a_folder, 2, "文件夹"),
        (lambda file: file.write_bytes(b""), 1, "已损坏"),
        (lambda file: file.write_text("这不是数据库"), 1, "已损坏"),
        (cut, 1, "已损坏"),
        (flip, 1, "已损坏"),
        (of_a_later_version, 1, "已损坏|另一版本"),
        (without_its_tables, 1, "另一版本的程序"),
        (without_a_column, 1, "另一版本的程序"),
    ],
)
def test_a_published_file_that_cannot_be_read_is_told_with_what_to_do(home: Home, spoil, code: int, told: str):
    spoil(home.published)
    got, output = asked(home, "status")
    assert got == code
    assert re.search(told, output) and "xianbao run" in output and str(home.published) in output
    assert len(output.strip().splitlines()) == 1 and not re.search("Error|Traceback|LINE 1", output)
    got, english = asked(home, "status", lang="en")
    assert got == code and not re.search("[一-鿿]|Traceback", english)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_told_as_that(home: Home):
    home.published.chmod(0)
    code, output = asked(home, "status")
    assert code == 2 and "权限" in output


@pytest.mark.parametrize(
    ("message", "told", "is_fault"),
    [
        ('IO Error: Cannot open file "/x/a.duckdb": Permission denied', "没有权限打开 /x/a.duckdb", False),
        ('IO Error: Could not write file "/x/a.duckdb": No space left on device', "磁盘空间不足", True),
        ("Out of Memory Error: could not allocate block of size 256.0 KiB (4.7 MiB/4.7 MiB used)", "内存不足", True),
        ('IO Error: Trying to read a database file with version number 99, but we can only read versions between 64 and 68.', "另一版本的 DuckDB", True),
        ("Serialization Error: Failed to deserialize: field id mismatch", "另一版本的 DuckDB", True),
        ('IO Error: Cannot open file "C:\\x\\a.duckdb": The process cannot access the file because it is being used by another process.\n\n'
         "File is already open in \nC:\\Program Files\\DBeaver\\dbeaver.exe (PID 4711)", "dbeaver.exe，进程号 4711", False),
        ('IO Error: Could not set lock on file "/x/a.duckdb": Conflicting lock is held in /usr/bin/java (PID 99999999) by user li. See also',
         "java，进程号 99999999，用户 li", False),
        ('IO Error: Could not set lock on file "/x/a.duckdb": No locks available', "另一个程序", False),
        ("INTERNAL Error: something\n\nStack Trace:\n0 libduckdb", "DuckDB：INTERNAL Error: something）", True),
    ],
)  # fmt: skip
def test_what_duckdb_says_becomes_one_sentence(message: str, told: str, is_fault: bool):
    unusable = in_words(message)
    assert told in unusable.chinese and unusable.is_fault is is_fault
    assert "\n" not in unusable.chinese + unusable.english and "Stack" not in unusable.chinese
    assert not re.search("[一-鿿]", unusable.english)


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(home: Home, tmp_path: Path):
    with opened(home.published) as connection:
        shutil.copyfile(home.published, tmp_path / "next")
        (tmp_path / "next").replace(home.published)
        assert connection.execute("SELECT count(*) FROM marts.mart_submission_status").fetchall() == [(200_000,)]


def test_what_is_raised_inside_is_of_the_file(home: Home):
    with pytest.raises(FileUnusable, match=re.escape(str(home.published))), opened(home.published) as connection:
        connection.execute("FROM marts.nothing")
