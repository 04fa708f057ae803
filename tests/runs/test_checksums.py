"""Damage on disk: what is judged is what was written, or it is refused. Never silently something else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segqa.analysis.data_audit.case_stats import CaseStatsCache
from segqa.analysis.robustness.result import Robustness, _read_file, link_robustness, read_robustness, write_robustness
from segqa.analysis.robustness.stability import PerturbationOutcome
from segqa.errors import BaselineError, MaskError, ProposalsError, StoreError
from segqa.gate.latency import Speed, keep_speed, read_speeds
from segqa.inference.case_scores import CaseScores
from segqa.inference.property_cache import PropertyCache
from segqa.inference.proposal_cache import CachedAnswer, ProposalCache, proposals_key
from segqa.models.protocol import Proposals
from segqa.report.case_images import CaseImage, CaseImages
from segqa.report.session_result import SessionResult, read_ending, write_ending
from segqa.runs.checksums import add_checksum, require_checksum
from segqa.runs.outcome import Outcome, ProposalScore
from segqa.runs.run import Run
from segqa.runs.store import Store, find_unchecked
from segqa.scoring.error_breakdown import Breakdown
from segqa.scoring.metrics import Counts
from segqa.scoring.properties import CaseProperties
from tests.damage import flip_bit, flip_bits, remove_checksums

SOME, MANY = 120, 1500
"""Bits that are flipped in each file; the second in slow tests."""

HOW_MANY = [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]


def outcome(number: int) -> Outcome:
    if number % 7 == 3:
        return Outcome(case_id=f"case {number:02}", prompt="person.", error="Traceback\nValueError: no")
    right = 40 + number
    offers = tuple(
        ProposalScore(Counts(tp, 5, 90 - tp, 305), Counts(tp // 2, 1, 40 - tp // 2, 200), 0.5 + tp / 1000, None)
        for tp in (right, right // 2)
    )
    wrong = Breakdown(*([1] * len(Breakdown(*[0] * 7).numbers))) if number % 5 == 0 else None
    return Outcome(
        case_id=f"case {number:02}",
        prompt="person.",
        tags={"camera": f"C{number % 3}"},
        properties={"brightness": number / 7, "proposals": 2.0},
        digest=f"{number:064x}",
        pixels=f"{number:032x}",
        proposals_key=f"{number:032x}",
        proposal_scores=(replace(offers[0], breakdown=wrong), offers[1]),
        picked=0,
        empty_prediction=Counts(0, 0, 90, 310),
        seconds=0.25 + number,
        note="odd" if number == 2 else "",
    )


OUTCOMES = tuple(map(outcome, range(24)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".segqa")


@pytest.fixture
def kept(store: Store) -> Run:
    return keep(store, OUTCOMES)


def keep(store: Store, outcomes: Sequence[Outcome], expected: Sequence[str] = ()) -> Run:
    """A finished run with these outcomes."""
    ids = tuple(expected or (each.case_id for each in outcomes))
    run = store.begin(Run("r", "unet", "photos", ids, (), "first", provenance={"notes": ["ü"]}), "k")
    store.append(run.id, outcomes[:10])
    store.append(run.id, outcomes[10:])
    store.finish(run, "k")
    return store.load(run.id)


def is_refused(store: Store, wanted: Run, where: str) -> bool:
    """Whether a run is refused; else it must be what it was."""
    try:
        found = store.load(wanted.id)
        outcomes = list(found.outcomes)
    except StoreError:
        return True
    assert (found, outcomes) == (wanted, list(wanted.outcomes)), where
    return False


@pytest.mark.parametrize("count", HOW_MANY)
@pytest.mark.parametrize("name", ["run.json", "cases.sqlite"])
def test_a_flipped_bit_in_a_run_is_refused_or_changes_nothing(store: Store, kept: Run, name: str, count: int) -> None:
    path = store.run_folder(kept.id) / name
    refused = [is_refused(store, kept, where) for where in flip_bits(path, count)]
    # the rest are bits that nobody reads: free room of pages, the case of a hexadecimal digit
    assert sum(refused) > len(refused) / 4
    assert not is_refused(store, kept, "the file is whole again")


@pytest.mark.parametrize("count", HOW_MANY)
@pytest.mark.parametrize("name", ["part-00000.parquet", "index.json", "../run.json"])
def test_a_flipped_bit_in_part_files_is_refused_or_changes_nothing(
    store: Store, kept: Run, name: str, count: int
) -> None:
    pytest.importorskip("pyarrow")
    store.pack(kept.id)
    assert not is_refused(store, kept, "packed after it was finished")
    store.finish(kept, "k")
    path = store.run_folder(kept.id) / "cases" / name
    refused = [is_refused(store, kept, where) for where in flip_bits(path, count)]
    assert all(refused) or name != "part-00000.parquet"
    assert sum(refused) > len(refused) / 2


def test_a_damaged_case_is_named_and_what_to_do(store: Store, kept: Run) -> None:
    flip_bit(store.run_folder(kept.id) / "cases.sqlite", b"[[0.545, null, 45, 5, 45")
    with pytest.raises(
        StoreError, match=r"run r is damaged: case 'case 05' does not match its checksum; evaluate again"
    ):
        store.load(kept.id)
    with pytest.raises(StoreError, match="case 'case 05'"):
        store.read_outcomes(kept.id, ["case 05"])
    assert list(store.read_outcomes(kept.id, ["case 06"])) == [OUTCOMES[6]]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM outcomes WHERE case_id = ?", "DELETE FROM expected WHERE case_id = ?"]
)
def test_a_row_that_was_lost_is_noticed(store: Store, kept: Run, statement: str) -> None:
    with closing(sqlite3.connect(store.run_folder(kept.id) / "cases.sqlite")) as database, database:
        database.execute(statement, ("case 05",))
    with pytest.raises(StoreError, match="run r is damaged: outcomes were lost, added or changed"):
        store.load(kept.id)


def test_an_unfinished_run_that_was_damaged_does_not_go_on(store: Store) -> None:
    ids = [each.case_id for each in OUTCOMES]
    run = store.begin(Run("r", "unet", "photos", ids, (), "first"), "k")
    store.append(run.id, OUTCOMES[:10])
    assert "case 05" in store.read_done(run.id)
    path = store.run_folder(run.id) / "cases.sqlite"
    whole = path.read_bytes()
    flip_bit(path, b"[[0.545, null, 45, 5, 45")
    with pytest.raises(StoreError, match="case 'case 05'"):
        store.read_done(run.id)
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM expected WHERE case_id = 'case 20'")
    with pytest.raises(StoreError, match="the list of its cases was changed"):
        store.read_done(run.id)


def test_what_an_earlier_version_made_is_read_and_it_is_said_what_cannot_be_checked(store: Store, kept: Run) -> None:
    folder = store.run_folder(kept.id)
    assert find_unchecked(folder) == ""
    remove_checksums(folder)
    assert store.load(kept.id) == kept
    assert find_unchecked(folder).startswith("run r has no checksums")


@pytest.mark.parametrize(
    ("changed", "of"),
    [
        pytest.param("[[0.545, null, 46, 5, 45", "tp + fn is another area", id="area"),
        pytest.param("[[0.545, null, 45, 6, 45", "the sum is another size", id="size"),
        pytest.param("[[0.545, null, 46, 5, 44, 305, 48", "more inside than in all", id="inside"),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_counts_of_an_earlier_version_have_to_add_up(
    store: Store, kept: Run, changed: str, of: str, in_parts: bool
) -> None:
    folder = store.run_folder(kept.id)
    remove_checksums(folder)
    was = "[[0.545, null, 45, 5, 45" + (", 305, 22" if changed.count(",") > 4 else "")
    with closing(sqlite3.connect(folder / "cases.sqlite")) as database, database:
        database.execute("UPDATE outcomes SET offers = replace(offers, ?, ?)", (was, changed))
        assert database.execute("SELECT count(*) FROM outcomes WHERE offers LIKE ?", (f"{changed}%",)).fetchone() == (
            1,
        ), of
    if in_parts:
        pytest.importorskip("pyarrow")
        with pytest.raises(StoreError, match=r"counts of 1 case do not match the area .*'case 05'"):
            store.pack(kept.id)
        return
    with pytest.raises(StoreError, match=r"run r is damaged: the counts of 1 case do not match .*'case 05'"):
        store.load(kept.id)


@pytest.mark.parametrize("statement", ["picked = 2", "picked = -2", "size = 89"])
def test_a_pick_of_an_earlier_version_is_one_of_the_proposals(store: Store, kept: Run, statement: str) -> None:
    folder = store.run_folder(kept.id)
    remove_checksums(folder)
    with closing(sqlite3.connect(folder / "cases.sqlite")) as database, database:
        database.execute(f"UPDATE outcomes SET {statement} WHERE case_id = 'case 05'")  # noqa: S608 - as above
    with pytest.raises(StoreError, match="'case 05'"):
        store.load(kept.id)


def test_part_files_of_an_earlier_version_have_counts_that_add_up(store: Store, kept: Run) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    store.pack(kept.id)
    folder = store.run_folder(kept.id)
    remove_checksums(folder)
    assert store.load(kept.id) == kept
    assert find_unchecked(folder)
    table = parquet.read_table(folder / "cases" / "part-00000.parquet")
    sizes = table.column("size").to_numpy() + 1
    parquet.write_table(
        table.set_column(table.column_names.index("size"), "size", [sizes]), folder / "cases" / "part-00000.parquet"
    )
    with pytest.raises(StoreError, match="do not match the area of the target"):
        store.load(kept.id)


def test_a_document_that_was_changed_is_refused(tmp_path: Path) -> None:
    document = add_checksum({"b": 1, "a": [1.5, None, "ü"], "c": ()})
    require_checksum(json.loads(json.dumps(document)), tmp_path)
    with pytest.raises(StoreError, match="does not match its checksum; do this"):
        require_checksum({**document, "b": 2}, tmp_path, "do this")


def test_the_file_of_robustness_is_whole_or_refused(store: Store, kept: Run) -> None:
    trials = tuple(
        PerturbationOutcome(f"case {n:02}", "blur", 1, 0.5, 0.25 + n / 100, float("nan"), "") for n in range(6)
    )
    found = Robustness(model="unet", dataset="photos", run=kept.id, cases=6, left_out=(), trials=trials)
    write_robustness(found, store, "these")
    for where in flip_bits(store.run_folder(kept.id) / "robustness.json", SOME):
        try:
            again = read_robustness(store, kept.id)
        except StoreError:
            continue
        assert again is None or repr(again.trials) == repr(trials), where


def answers() -> list[tuple[bytes, CachedAnswer]]:
    draw = np.random.default_rng(0)
    found = []
    for number in range(8):
        masks, scores = draw.random((2, 12, 9)) > 0.5, draw.random((2, 2))
        proposals = Proposals(masks, scores[0], scores[1], draw.random((2, 4)))
        found.append((proposals_key("model", bytes([number]), "person."), CachedAnswer(proposals, 0.25, (12, 9))))
    return found


def shown(answer: CachedAnswer) -> list[Any]:
    p = answer.proposals
    return [
        answer.seconds,
        answer.image_shape,
        *(each.tolist() for each in (p.masks, p.mask_scores, p.box_scores, p.boxes)),
    ]


def read_all(path: Path, keys: Sequence[bytes], target: bytes) -> list[Any]:
    """All answers and scores; None for what is absent or damaged."""
    found: list[Any] = []
    with ProposalCache(path) as cache:
        for key in keys:
            for read in (lambda key=key: cache.get(key), lambda key=key: cache.get_scores(key, target)):
                try:
                    value = read()
                except (MaskError, ProposalsError, StoreError):
                    value = None
                found.append(shown(value) if isinstance(value, CachedAnswer) else value)
    return found


@pytest.mark.parametrize("count", HOW_MANY)
def test_a_flipped_bit_in_the_proposals_makes_an_entry_absent_or_changes_nothing(tmp_path: Path, count: int) -> None:
    path, target, given = tmp_path / "proposals.sqlite", b"t" * 16, answers()
    case_scores = CaseScores(
        (ProposalScore(Counts(1, 2, 3, 4), Counts(0, 1, 2, 3), 0.5, None),), Counts(0, 0, 4, 6), 0.25, "ü"
    )
    with ProposalCache(path) as cache:
        cache.put(given, "m", [(key, target, case_scores) for key, _ in given])
    keys = [key for key, _ in given]
    whole = read_all(path, keys, target)
    assert None not in whole
    lost = 0
    for where in flip_bits(path, count):
        try:
            found = read_all(path, keys, target)
        except StoreError:  # not even a database any more
            found = [None] * len(whole)
        lost += None in found
        assert all(each is None or each == was for each, was in zip(found, whole, strict=True)), where
    assert lost > count / 20


def test_a_flipped_bit_in_a_score_is_found(tmp_path: Path) -> None:
    path, given = tmp_path / "proposals.sqlite", answers()
    with ProposalCache(path) as cache:
        cache.put(given, "m")
    (key, answer), (other, _) = given[:2]
    flip_bit(path, answer.proposals.mask_scores[:1].astype("<f8").tobytes(), 6)
    with ProposalCache(path) as cache:
        with pytest.raises(MaskError, match="does not match its checksum"):
            cache.get(key)
        assert cache.find(key) is None
        assert cache.find_missing([key, other]) == [key]
        assert list(cache.find_damaged()) == [key]


def test_an_entry_of_an_earlier_version_is_used_and_counted(tmp_path: Path) -> None:
    path, given = tmp_path / "proposals.sqlite", answers()
    with ProposalCache(path) as cache:
        cache.put(given, "m")
        assert cache.unchecked == 0
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE proposals DROP COLUMN checksum")
    with ProposalCache(path) as cache:
        assert cache.get(given[0][0]) is not None
        assert cache.unchecked == len(given)
        assert list(cache.find_damaged()) == []


@pytest.mark.parametrize("dropped", [False, True])
def test_a_checksum_goes_along_with_an_entry(tmp_path: Path, dropped: bool) -> None:
    given = answers()
    with ProposalCache(tmp_path / "there.sqlite") as cache:
        cache.put(given, "m")
        cache._database.execute("UPDATE proposals SET seconds = 9 WHERE key = ?", (given[0][0],))
        cache._database.commit()
        if dropped:
            cache._database.execute("ALTER TABLE proposals DROP COLUMN checksum")
    with ProposalCache(tmp_path / "here.sqlite") as cache:
        cache.take_over(tmp_path / "there.sqlite", [key for key, _ in given], "m")
        assert cache.find_missing([key for key, _ in given]) == ([] if dropped else [given[0][0]])


def test_properties_that_were_damaged_are_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "properties.sqlite"
    with PropertyCache(path) as cache:
        cache.put([(bytes([number]) * 32, CaseProperties({"brightness": number + 0.5}, "ab")) for number in range(4)])
    flip_bit(path, b'{"brightness": 2.5', 1)
    flip_bit(path, b"2.5}", 0)
    with PropertyCache(path) as cache:
        assert cache.get(bytes([2]) * 32) is None
        assert cache.get(bytes([1]) * 32) == CaseProperties({"brightness": 1.5}, "ab")


def read_properties(path: Path) -> list[Any]:
    with PropertyCache(path) as cache:
        return [cache.get(bytes([number]) * 32) for number in range(24)]


def read_glances(path: Path) -> list[Any]:
    with CaseStatsCache(path) as cache:
        found = [cache.get_or_compute(bytes([number]) * 16, list) or None for number in range(24)]
        cache._new.clear()
        return found


def read_exhibits(path: Path) -> list[Any]:
    store = Store(path.parents[2])
    with CaseImages(store, path.parent.name) as exhibits:
        found = {each.case_id: each for each in exhibits.get_all([f"case {n}" for n in range(12)], 12)}
        return [_fields(found.get(f"case {n}")) for n in range(12)]


def _fields(exhibit: CaseImage | None) -> Any:
    return None if exhibit is None else [getattr(exhibit, name) for name in CaseImage.__slots__]


def make_properties(folder: Path) -> Path:
    path = folder / "properties.sqlite"
    with PropertyCache(path) as cache:
        cache.put(
            (bytes([n]) * 32, CaseProperties({"brightness": n + 0.5, "ü": n / 7}, f"{n:032x}")) for n in range(24)
        )
    return path


def make_glances(folder: Path) -> Path:
    path = folder / "glances.sqlite"
    with CaseStatsCache(path) as cache:
        for number in range(24):
            cache.get_or_compute(bytes([number]) * 16, partial(list, [60, 40, number, 0.5, 4, "ü"]))
        cache.flush()
    return path


def exhibit(number: int) -> CaseImage:
    return CaseImage(
        case_id=f"case {number}",
        shape=(4, 5),
        whole=(8, 10),
        target="0d1",
        masks=("abc", f"{number}"),
        boxes=((1.0, 2.0, 3.0, 4.0),),
        measured={"hd95": number / 7},
        photo=bytes([number]) * 60,
        thumbnail=bytes([number + 1]) * 30,
        key=f"{number:032x}",
    )


def make_exhibits(folder: Path) -> Path:
    store = Store(folder)
    with CaseImages(store, "r") as exhibits:
        exhibits.put(map(exhibit, range(12)))
    return store.run_folder("r") / "exhibits.sqlite"


def make_ending(folder: Path) -> Path:
    ending = SessionResult((("test_a", "ü < 1"),), {"passed": 3, "failed": 1}, findings=("one",), warnings=("two",))
    write_ending(ending, Store(folder), "r")
    return Store(folder).run_folder("r") / "ending.json"


def make_speed(folder: Path) -> Path:
    path = folder / "unet.speed.json"
    for cases, machine in ((20, "a"), (40, "b")):
        keep_speed(path, Speed(machine, cases, 0.25, 0.5))
    return path


def make_link(folder: Path) -> Path:
    link_robustness(Store(folder), "r", "20261122-unet-changed")
    return Store(folder).run_folder("r") / "changed.json"


def make_order(folder: Path) -> Path:
    for number in range(4):
        Store(folder).begin(Run(f"run-{3 - number}", "m", "d", ["a"], (), "first"), "k")
    return folder / "order.json"


KEPT: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "properties": (make_properties, read_properties),
    "glances": (make_glances, read_glances),
    "exhibits": (make_exhibits, read_exhibits),
    "ending": (make_ending, lambda path: read_ending(Store(path.parents[2]), "r")),
    "speed": (make_speed, read_speeds),
    "link": (make_link, lambda path: _read_file(Store(path.parents[2]), "r", "changed.json").get("run")),
    "order": (make_order, lambda path: Store(path.parent).run_ids()),
}


@pytest.mark.parametrize("count", HOW_MANY)
@pytest.mark.parametrize("name", KEPT)
def test_a_flipped_bit_in_what_is_kept_makes_it_absent_or_refused(tmp_path: Path, name: str, count: int) -> None:
    make, read = KEPT[name]
    path = make(tmp_path)
    whole = read(path)
    lost = 0
    for where in flip_bits(path, count):
        try:
            found = read(path)
        except (StoreError, BaselineError):
            lost += 1
            continue
        if isinstance(whole, list) and name != "order":
            lost += None in found
            assert all(each in (None, was) for each, was in zip(found, whole, strict=True)), where
        else:
            assert found == whole, where
    assert lost > count / 20
    assert read(path) == whole


def test_what_was_damaged_in_a_cache_is_kept_anew(tmp_path: Path) -> None:
    path, measurement = make_properties(tmp_path), CaseProperties({"brightness": 2.5}, "ab")
    flip_bit(path, b'{"brightness": 2.5', 1)
    with PropertyCache(path) as cache:
        assert cache.get(bytes([2]) * 32) is None
        cache.put([(bytes([2]) * 32, measurement)])
        assert cache.get(bytes([2]) * 32) == measurement


@pytest.mark.parametrize("count", HOW_MANY)
def test_a_damaged_run_of_another_model_is_left_out_and_named(store: Store, kept: Run, count: int) -> None:
    other = store.begin(replace(kept, id="other", model="net"), "k2")
    store.append(other.id, OUTCOMES)
    store.finish(other, "k2")
    for name in ("run.json", "cases.sqlite"):
        named = 0
        for where in flip_bits(store.run_folder("other") / name, count):
            said: list[str] = []
            found = store.add_other_models([kept], said.append)
            assert found[-1] == kept, where
            assert len(found) + len(said) == 2, where
            assert all(line.startswith("run other is left out: ") for line in said)
            named += bool(said)
            assert store.find_finished("k") == kept.id
            assert store.find_last_whole("unet") == kept.id
        assert named > count / 4


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 2}', '{"version": 2, "finished": true, "key": "k", "run": []}'],
)
def test_a_header_of_nothing_is_left_out_and_named(store: Store, kept: Run, text: str) -> None:
    (store.root / "runs" / "broken").mkdir()
    (store.root / "runs" / "broken" / "run.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    said: list[str] = []
    assert store.add_other_models([kept], said.append) == [kept]
    assert [line.partition(":")[0] for line in said] == ["run broken is left out"]
    assert store.find_recent("unet", "photos", 3) == [kept.id]


def test_a_run_of_another_version_is_no_damage(store: Store, kept: Run) -> None:
    (store.root / "runs" / "old").mkdir()
    (store.root / "runs" / "old" / "run.json").write_text('{"version": 1}', encoding="utf-8")
    said: list[str] = []
    assert store.add_other_models([kept], said.append) == [kept]
    assert said == []
