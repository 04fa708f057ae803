import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segqa.errors import StoreError
from segqa.runs.checksums import add_checksum
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import CHANGED, Run
from segqa.runs.store import Store, read_blocks, write_whole
from segqa.scoring.metrics import Counts
from tests.damage import flip_bits

FULL = Outcome(
    case_id="a ü ' [x]",
    prompt="person.",
    tags={"camera": "C2", "who": "Zoë"},
    digest="ab" * 32,
    pixels="ef" * 16,
    proposals_key="cd" * 16,
    proposal_scores=(
        ProposalScore(Counts(1, 2, 3, 4), Counts(0, 1, 2, 3), 0.1, None),
        ProposalScore(Counts(0, 0, 4, 6), Counts(0, 0, 1, 2)),
    ),
    picked=1,
    empty_prediction=Counts(0, 0, 4, 6),
    seconds=1.5,
    cached=True,
    note="odd",
)
FAILED = Outcome(case_id="b", error="Traceback\nValueError: no")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".segqa")


def begun(store: Store, key: str = "k") -> Run:
    provenance = {"commit": "abc", "notes": ["1 not a picture"]}
    run = Run("r", "unet", "photos", (FULL.case_id, "b", "c"), (), "product", "zero", 0.6, provenance=provenance)
    return store.begin(run, key)


def test_what_is_kept_comes_back(store: Store) -> None:
    run = begun(store)
    store.append(run.id, [FULL])
    store.append(run.id, [FAILED])
    assert store.load(run.id) == replace(run, outcomes=(FULL, FAILED))


def test_a_run_of_before_pixels_had_digests_is_read_and_goes_on(store: Store) -> None:
    run = begun(store)
    store.append(run.id, [FULL])
    with closing(sqlite3.connect(store.run_folder(run.id) / "cases.sqlite")) as database:
        for column in ("pixels", "checksum"):
            database.execute(f"ALTER TABLE outcomes DROP COLUMN {column}")
    assert list(store.load(run.id).outcomes) == [replace(FULL, pixels="")]
    store.append(run.id, [replace(FULL, case_id="c")])
    assert [outcome.pixels for outcome in store.load(run.id).outcomes] == ["", FULL.pixels]


def test_part_files_of_before_pixels_had_digests_are_read(store: Store) -> None:
    pytest.importorskip("pyarrow")
    run = begun(store)
    store.append(run.id, [FULL, FAILED])
    tables = [table.drop_columns("pixels") for table in read_blocks(store.run_folder(run.id))]
    store.file(run.id, tables)
    found = store.load(run.id).columns
    assert list(found) == [replace(FULL, pixels=""), FAILED]
    assert list(found.pixels) == ["", ""]


@pytest.mark.parametrize("in_parts", [False, True])
def test_some_cases_are_read_alone(store: Store, in_parts: bool) -> None:
    run = begun(store)
    store.append(run.id, [FULL, FAILED])
    if in_parts:
        pytest.importorskip("pyarrow")
        store.file(run.id, read_blocks(store.run_folder(run.id)))
    assert [*store.read_outcomes(run.id, {FULL.case_id, "unknown"})] == [FULL]
    assert not len(store.read_outcomes(run.id, ()))


def test_an_error_is_kept_without_counts(store: Store) -> None:
    run = begun(store)
    store.append(run.id, [FAILED])
    assert store.load(run.id).outcomes[0].counts is None


def test_two_runs_of_one_second_have_two_folders(store: Store) -> None:
    assert begun(store).id == "r"
    assert begun(store).id == "r-2"
    assert store.run_ids() == ["r", "r-2"]


def test_only_an_unfinished_run_with_the_same_key_is_offered(store: Store) -> None:
    run = begun(store)
    assert store.find_unfinished("k") == run.id
    assert store.find_unfinished("other") is None
    store.finish(run, "k")
    assert store.is_finished(run.id)
    assert store.find_unfinished("k") is None


def test_only_a_finished_run_with_the_same_key_is_found_again(store: Store) -> None:
    run = begun(store)
    assert store.find_finished("k") is None
    store.finish(run, "k")
    assert store.find_finished("other") is None
    newer = begun(store)
    store.finish(newer, "k")
    assert store.find_finished("k") == newer.id


def test_the_newest_run_is_the_last_one_made_whatever_its_id_says(store: Store) -> None:
    for run_id in ("20270101", "20260101", "20250101"):
        run = store.begin(replace(begun(Store(store.root / "template")), id=run_id), "k")
        store.finish(run, "k")
    assert store.run_ids() == ["20270101", "20260101", "20250101"]
    assert store.find_finished("k") == "20250101"
    assert store.find_last_whole("unet") == "20250101"
    assert store.find_recent("unet", "photos", 2) == ["20250101", "20260101"]
    assert [run_id for run_id, _ in store.read_headers("unet")] == ["20250101", "20260101", "20270101"]


def test_a_run_that_is_finished_is_newer_than_one_begun_since(store: Store) -> None:
    first, second = begun(store), begun(store)
    assert store.run_ids() == [first.id, second.id]
    assert store.find_unfinished("k") == second.id
    store.finish(first, "k")
    assert store.run_ids() == [second.id, first.id]


def test_runs_that_the_store_did_not_make_come_first_by_their_ids(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    for run_id in ("b", "a"):
        other.begin(replace(begun(Store(tmp_path / "template")), id=run_id), "k")
    own = begun(store)
    for folder in (other.root / "runs").iterdir():
        shutil.copytree(folder, store.run_folder(folder.name))
    assert store.run_ids() == ["a", "b", own.id]


def test_a_run_that_was_removed_leaves_the_order_of_the_others(store: Store) -> None:
    runs = [begun(store).id for _ in range(3)]
    shutil.rmtree(store.run_folder(runs[1]))
    runs.append(begun(store).id)
    assert runs[3] == runs[1]
    assert store.run_ids() == [runs[0], runs[2], runs[3]]


def test_a_damaged_order_is_refused_and_without_one_ids_decide(store: Store) -> None:
    first, second = begun(store), begun(store)
    store.finish(first, "k")
    for where in flip_bits(store.root / "order.json", 60):
        try:
            assert store.run_ids() == [second.id, first.id], where
        except StoreError as error:
            assert "order.json is damaged" in str(error)  # noqa: PT017 - the other half is above
    (store.root / "order.json").unlink()
    assert store.run_ids() == [first.id, second.id]


def test_runs_that_begin_at_once_are_all_in_the_order(store: Store) -> None:
    with ThreadPoolExecutor(8) as workers:
        ids = [run.id for run in workers.map(lambda number: begun(store, str(number)), range(24))]
    kept = json.loads((store.root / "order.json").read_text(encoding="utf-8"))["runs"]
    assert sorted(kept) == sorted(ids)


def test_a_run_over_changed_cases_is_none_over_a_data_set(store: Store) -> None:
    whole, options = begun(store), {"options": {CHANGED: "photos"}}
    store.finish(whole, "k")
    changed = replace(whole, id="s", dataset="photos-changed", provenance=options)
    store.finish(store.begin(changed, "c"), "c")
    assert store.find_last_whole("unet") == whole.id
    assert store.find_recent("unet", "photos", 3) == [whole.id]
    assert store.find_recent("unet", "photos-changed", 3) == ["s"]


def test_one_process_writes_a_run(store: Store) -> None:
    run = begun(store)
    with store.hold_write_lock(run.id) as first, store.hold_write_lock(run.id) as second:
        assert first
        assert not second
    with store.hold_write_lock(run.id) as again:
        assert again


def test_an_unknown_run_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no run 'x'"):
        store.load("x")


def test_a_damaged_header_is_named(store: Store) -> None:
    run = begun(store)
    (store.run_folder(run.id) / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        store.load(run.id)
    assert store.find_unfinished("k") is None


def test_a_header_of_another_version_is_refused(store: Store) -> None:
    run = begun(store)
    path = store.run_folder(run.id) / "run.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    del kept["checksum"]
    path.write_text(json.dumps(add_checksum({**kept, "version": 99})), encoding="utf-8")
    with pytest.raises(StoreError, match="version 99, expected 2; evaluate again"):
        store.load(run.id)


def test_damaged_cases_are_named(store: Store) -> None:
    run = begun(store)
    (store.run_folder(run.id) / "cases.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cases of run r are damaged"):
        store.load(run.id)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_whole(path, "old")
    with pytest.raises(TypeError):
        write_whole(path, b"new")  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def interrupted(tables: Iterable[Any]) -> Iterator[Any]:
    """These, and then Ctrl-C."""
    yield from tables
    raise KeyboardInterrupt


def test_a_large_run_is_kept_in_part_files(store: Store) -> None:
    pytest.importorskip("pyarrow")
    run = begun(store)
    store.append(run.id, [FULL, FAILED])
    with pytest.raises(StoreError, match="has 2 of 3 cases"):
        store.pack(run.id)
    store.append(run.id, [replace(FULL, case_id="c")])
    wanted = store.load(run.id)
    assert store.read_done(run.id) == [FULL.case_id, "c"]
    store.pack(run.id)
    assert not (store.run_folder(run.id) / "cases.sqlite").exists()
    assert store.load(run.id) == wanted
    assert store.read_done(run.id) == [FULL.case_id, "b", "c"]
    assert not store.is_large(run.id)


def test_part_files_that_were_not_finished_are_none(store: Store) -> None:
    pytest.importorskip("pyarrow")
    run = begun(store)
    store.append(run.id, [FULL, FAILED, replace(FULL, case_id="c")])
    wanted = store.load(run.id)
    with pytest.raises(KeyboardInterrupt):
        store.file(run.id, interrupted(read_blocks(store.run_folder(run.id))))
    assert store.load(run.id) == wanted
    store.pack(run.id)
    assert store.load(run.id) == wanted


@pytest.mark.parametrize(
    ("name", "content"), [("part-00000.parquet", None), ("part-00000.parquet", b"x"), ("index.json", b"{")]
)
def test_damaged_part_files_are_refused(store: Store, name: str, content: bytes | None) -> None:
    pytest.importorskip("pyarrow")
    run = begun(store)
    store.append(run.id, [FULL, FAILED, replace(FULL, case_id="c")])
    store.pack(run.id)
    path = store.run_folder(run.id) / "cases" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        list(store.load(run.id).outcomes)


def test_part_files_are_sorted_and_have_each_case_once(store: Store) -> None:
    pytest.importorskip("pyarrow")
    run = begun(store)
    store.append(run.id, [FULL])
    with pytest.raises(StoreError, match="each once"):
        store.file(run.id, [*read_blocks(store.run_folder(run.id))] * 2)
