from pathlib import Path

import numpy as np
import pytest

from segqa.errors import MaskError, StoreError
from segqa.evaluation.cache import Answer, ProposalCache, proposals_key
from segqa.proposals import Proposals

KEY = proposals_key("model", b"image", "person.")


def answer(count: int = 3, seed: int = 0) -> Answer:
    draw = np.random.default_rng(seed)
    masks = draw.random((count, 31, 17)) > 0.5
    scores = draw.random((2, count))
    return Answer(Proposals(masks, scores[0], scores[1], draw.random((count, 4))), 0.25, (62, 34))


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
    given = Answer(Proposals(masks, np.array([np.nan]), np.ones(1), np.zeros((1, 4))), 0, (2, 2))
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
