import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segqa.data.folder import open_folder
from segqa.data.subsets import Shard, parse_shard
from segqa.errors import SettingsError
from tests.conftest import bright_square, write_case


@given(case_id=st.text(), of=st.integers(1, 50))
def test_a_case_is_in_exactly_one_shard(case_id: str, of: int) -> None:
    assert sum(Shard(number, of).contains(case_id) for number in range(1, of + 1)) == 1


def test_a_case_is_where_its_sha256_says() -> None:
    # 0xba7816bf…15ad is the digest of "abc" in FIPS 180-4
    digest = int("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 16)
    assert Shard(digest % 7 + 1, 7).contains("abc")


@pytest.mark.parametrize("seed", ["0", "1"])
def test_pythons_hash_seed_moves_no_case(seed: str) -> None:
    code = "from segqa.data.subsets import Shard; print(*[n for n in range(40) if Shard(2, 3).contains(str(n))])"
    seeded = {**os.environ, "PYTHONHASHSEED": seed}
    found = subprocess.run([sys.executable, "-c", code], env=seeded, capture_output=True, check=True, text=True)
    assert found.stdout.split() == [str(number) for number in range(40) if Shard(2, 3).contains(str(number))]


def test_shards_are_about_equally_large() -> None:
    sizes = [sum(Shard(number, 4).contains(f"case {index}") for index in range(4000)) for number in range(1, 5)]
    assert all(900 < size < 1100 for size in sizes)


@pytest.mark.parametrize("text", ["0/4", "5/4", "a/b", "", "1", "1/", "/4", "1/0", "-1/4", "1.0/4", "1/4/4", " 1/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must read i/n with i from 1 to n, such as 2/4; got"):
        parse_shard(text)


def test_a_shard_reads_as_it_is_typed() -> None:
    assert str(parse_shard("2/4")) == "2/4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(4):
        write_case(tmp_path / "squares", f"{index}", *bright_square(index))
    return tmp_path / "squares"


def test_a_copy_with_other_times_has_the_same_listing(folder: Path) -> None:
    before = open_folder(folder)
    listing, stamp = before.listing(), before.stamp()
    os.utime(folder / "images" / "0.png", (1, 1))
    assert open_folder(folder).listing() == listing
    assert open_folder(folder).stamp() != stamp


def test_another_file_tag_prompt_or_case_makes_another_listing(folder: Path) -> None:
    seen = {open_folder(folder).listing(), open_folder(folder).with_prompt("dog.").listing()}
    seen.add(open_folder(folder, mask_cutoff=100).listing())
    with (folder / "masks" / "0.png").open("ab") as file:
        file.write(b"more")
    seen.add(open_folder(folder).listing())
    (folder / "metadata.csv").write_text("id,camera\n0,C1\n", encoding="utf-8")
    seen.add(open_folder(folder).listing())
    (folder / "images" / "1.png").unlink()
    seen.add(open_folder(folder).listing())
    assert len(seen) == 6
