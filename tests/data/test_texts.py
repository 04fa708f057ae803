import numpy as np
import pytest

from segqa.data.string_columns import StringColumn

WORDS = ["C1", "", "Zoë", "C1", "\u2028x"]


def test_texts_are_what_they_were_made_of() -> None:
    texts = StringColumn.from_strings(iter(WORDS))
    assert list(texts) == WORDS
    assert [texts[place] for place in range(-5, 5)] == WORDS * 2
    assert texts == WORDS
    assert texts == tuple(WORDS)
    assert texts != WORDS[1:]
    assert texts != "C1"


def test_some_of_some() -> None:
    texts = StringColumn.from_strings(WORDS).take(np.array([4, 2, 0]))
    assert list(texts[1:]) == ["Zoë", "C1"]
    assert texts[::-1] == ["C1", "Zoë", "\u2028x"]
    assert texts.take(np.array([1])) == ["Zoë"]
    assert texts.is_among({"Zoë"}).tolist() == [False, True, False]


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        StringColumn.from_strings(WORDS)[5]
    with pytest.raises(IndexError):
        StringColumn.from_strings(WORDS).take(np.array([1]))[1]


def test_none_at_all() -> None:
    assert list(StringColumn.from_strings([])) == []
    assert not StringColumn.from_strings([])
