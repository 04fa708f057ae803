import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segqa.cli import app
from tests.damage import flip_bits
from tests.reviewed import reviewed

Cache = Callable[..., tuple[int, str]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """`segqa cache` where 12 images of a model are kept."""
    monkeypatch.chdir(tmp_path)
    reviewed(tmp_path, 12)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["cache", *arguments])
        return result.exit_code, result.output

    return run


def damage(count: int) -> None:
    with closing(sqlite3.connect(".segqa/proposals.sqlite")) as database, database:
        database.execute(
            f"UPDATE proposals SET masks = x'00' WHERE key IN (SELECT key FROM proposals LIMIT {count})"  # noqa: S608
        )


def test_ls_tells_images_and_size(cache: Cache) -> None:
    code, output = cache("ls")
    assert code == 0
    assert output.splitlines()[1].split()[:3] == ["two", "12", "16"]
    assert "MB in use in .segqa/proposals.sqlite" in output
    assert cache("ls", "--format=csv")[1].startswith("model,images,proposals,MB,last used\ntwo,12,16,")


def test_prune_says_first_and_removes_then(cache: Cache) -> None:
    assert cache("prune", "--model=two", "--dry-run") == (0, "12 entries would go\n")
    assert cache("prune", "--model=two")[1].startswith("12 entries removed, ")
    assert cache("ls")[1].splitlines()[1].startswith("0.0 MB")
    assert cache("prune", "--older-than=0")[1].startswith("0 entries removed")


def test_verify_finds_damage_and_repairs_it(cache: Cache) -> None:
    assert cache("verify") == (0, "12 entries, 0 damaged\n")
    damage(3)
    assert cache("verify") == (1, "12 entries, 3 damaged\n")
    assert cache("verify", "--repair") == (0, "12 entries, 3 damaged and removed\n")
    assert cache("verify") == (0, "9 entries, 0 damaged\n")


def test_verify_finds_a_score_that_was_damaged_and_counts_what_has_no_checksum(cache: Cache) -> None:
    with closing(sqlite3.connect(".segqa/proposals.sqlite")) as database, database:
        database.execute(
            "UPDATE proposals SET numbers = zeroblob(length(numbers)) WHERE key = (SELECT max(key) FROM proposals)"
        )
    assert cache("verify") == (1, "12 entries, 1 damaged\n")
    with closing(sqlite3.connect(".segqa/proposals.sqlite")) as database, database:
        database.execute("UPDATE proposals SET checksum = NULL")
    code, output = cache("verify")
    assert code == 0
    assert "12 entries are of an earlier version and without a checksum" in output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["prune"], "say what may go: --max-mb, --older-than or --model"),
        (["prune", "--model=tow"], "nothing is kept of 'tow'; `segqa cache ls` lists what is"),
        (["ls", "--dir=nowhere"], "no proposals in nowhere/proposals.sqlite"),
    ],
)
def test_what_cannot_be_ends_with_4(cache: Cache, arguments: list[str], problem: str) -> None:
    code, output = cache(*arguments)
    assert code == 4
    assert problem in output


def test_a_file_that_is_no_database_is_said(cache: Cache) -> None:
    Path("other").mkdir()
    Path("other/proposals.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 30)
    code, output = cache("verify", "--dir=other")
    assert code == 4
    assert "remove the file to start anew" in output


def test_a_flipped_bit_is_never_a_traceback(cache: Cache) -> None:
    results = [
        (where, command, CliRunner().invoke(app, ["cache", command]))
        for where in flip_bits(Path(".segqa/proposals.sqlite"), 60)
        for command in ("ls", "verify")
    ]
    for where, command, result in results:
        assert result.exit_code in {0, 1, 4}, where
        assert result.exception is None or isinstance(result.exception, SystemExit), (where, command)
    assert 4 in {result.exit_code for _, _, result in results}
