import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from segqa.errors import MaskError, StoreError
from segqa.inference.proposal_cache import CachedAnswer, ProposalCache, proposals_key
from segqa.models.protocol import Proposals

KEY = proposals_key("model", b"image", "person.")


def answer(count: int = 3, seed: int = 0) -> CachedAnswer:
    draw = np.random.default_rng(seed)
    masks = draw.random((count, 31, 17)) > 0.5
    scores = draw.random((2, count))
    return CachedAnswer(Proposals(masks, scores[0], scores[1], draw.random((count, 4))), 0.25, (62, 34))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_answer_comes_back_as_it_was(tmp_path: Path, count: int) -> None:
    given = answer(count)
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        cache.put([(KEY, given)])
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        found = cache.get(KEY)
    assert found is not None
    assert (found.seconds, found.image_shape) == (0.25, (62, 34))
    for name in ("masks", "mask_scores", "box_scores", "boxes"):
        assert np.array_equal(getattr(found.proposals, name), getattr(given.proposals, name))


def test_an_unknown_score_stays_unknown(tmp_path: Path) -> None:
    masks = np.zeros((1, 2, 2), np.bool_)
    given = CachedAnswer(Proposals(masks, np.array([np.nan]), np.ones(1), np.zeros((1, 4))), 0, (2, 2))
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        cache.put([(KEY, given)])
        found = cache.get(KEY)
    assert found is not None
    assert np.isnan(found.proposals.mask_scores).all()


def test_what_was_not_put_is_not_there(tmp_path: Path) -> None:
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        assert cache.get(KEY) is None


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    other = proposals_key("model", b"image", "dog.")
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        with pytest.raises(AttributeError):
            cache.put([(KEY, answer()), (other, None)])  # type: ignore[list-item]
        assert cache.get(KEY) is None


@pytest.mark.parametrize(
    "parts",
    [
        ("other", b"image", "person."),
        ("model", b"other", "person."),
        ("model", b"image", "dog."),
        ("modeli", b"mage", "person."),
    ],
)
def test_another_model_image_or_prompt_is_another_key(parts: tuple[str, bytes, str]) -> None:
    assert proposals_key(*parts) != KEY
    assert len(KEY) == 16


def test_a_damaged_entry_is_never_taken_for_masks(tmp_path: Path) -> None:
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        cache.put([(KEY, answer())])
        cache._database.execute("UPDATE proposals SET masks = x'00'")
        with pytest.raises(MaskError, match="damaged"):
            cache.get(KEY)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "proposals.sqlite").write_bytes(b"something else entirely" * 50)
    with pytest.raises(StoreError, match="remove the file to start anew"):
        ProposalCache(tmp_path / "proposals.sqlite")


def keys(count: int) -> list[bytes]:
    return [proposals_key("model", bytes([number]), "person.") for number in range(count)]


def age(path: Path, key: bytes, days: int) -> None:
    """Make an entry so many days older."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE proposals SET used = used - ? WHERE key = ?", (days, key))


def test_what_is_kept_of_each_model(tmp_path: Path) -> None:
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        cache.put([(key, answer(3)) for key in keys(4)], "large")
        cache.put([(KEY, answer(1))], "small")
        large, small = cache.holdings()
    assert (large.model, large.entries, large.proposals) == ("large", 4, 12)
    assert (small.model, small.entries, small.used) == ("small", 1, date.today())  # noqa: DTZ011 - of this machine
    assert large.size > small.size > 100


def test_what_has_not_been_used_for_longest_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "proposals.sqlite"
    first, second, third, today = keys(4)
    with ProposalCache(path) as cache:
        cache.put([(key, answer()) for key in (first, second, third, today)], "m")
        each = cache.holdings()[0].size // 4
        for key, days in ((first, 3), (second, 9), (third, 1)):
            age(path, key, days)
        assert cache.superfluous(max_bytes=3 * each) == [second]
        assert cache.superfluous(max_bytes=0) == [third, first, second]
        assert cache.superfluous(before=date.today() - timedelta(days=2)) == [first, second]  # noqa: DTZ011
        assert len(cache.superfluous(model="m")) == 4
        assert cache.superfluous(model="other") == []
        cache.touch([second])
        assert cache.superfluous(max_bytes=3 * each) == [first]


def test_room_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "proposals.sqlite"
    with ProposalCache(path) as cache:
        cache.put([(key, answer(200)) for key in keys(50)])
        full = cache.size
        cache.remove(keys(50))
        assert cache.size < full / 4
        cache.compact()
    assert path.stat().st_size < full / 4


def test_damaged_entries_are_found(tmp_path: Path) -> None:
    path = tmp_path / "proposals.sqlite"
    good, short, broken = keys(3)
    with ProposalCache(path) as cache:
        cache.put([(key, answer()) for key in (good, short, broken)])
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE proposals SET numbers = x'00' WHERE key = ?", (short,))
            database.execute("UPDATE proposals SET masks = x'00' WHERE key = ?", (broken,))
        assert set(cache.find_damaged()) == {short, broken}


def test_a_full_disk_is_said_and_keeps_what_was_there(tmp_path: Path) -> None:
    with ProposalCache(tmp_path / "proposals.sqlite") as cache:
        cache.put([(KEY, answer())])
        pages = cache._database.execute("PRAGMA page_count").fetchone()[0]
        cache._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"proposals in .*: database or disk is full; what was"):
            cache.put([(key, answer(500)) for key in keys(20)])
        assert cache.find_missing([KEY, *keys(2)]) == keys(2)
        assert list(cache.find_damaged()) == []


def test_a_file_of_an_earlier_version_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "proposals.sqlite"
    with ProposalCache(path) as cache:
        cache.put([(KEY, answer())])
    with closing(sqlite3.connect(path)) as database, database:
        for column in ("model", "used"):
            database.execute(f"ALTER TABLE proposals DROP COLUMN {column}")
    with ProposalCache(path) as cache:
        assert cache.get(KEY) is not None
        assert cache.holdings()[0].model == ""
