from collections.abc import Iterable

import numpy as np
import pytest

from segqa.errors import SettingsError
from segqa.runs.groups import Grouping, number_groups, suggest_groups
from segqa.runs.outcome import Outcome
from segqa.runs.outcomes import Outcomes


def tagged(**tags: Iterable[object]) -> list[Outcome]:
    """Cases with a value of each tag; None leaves it out."""
    rows = zip(*tags.values(), strict=True)
    return [
        Outcome(case_id=f"{n:05}", tags={tag: str(v) for tag, v in zip(tags, row, strict=True) if v is not None})
        for n, row in enumerate(rows)
    ]


def named(*case_ids: str) -> list[Outcome]:
    return [Outcome(case_id=case_id) for case_id in sorted(case_ids)]


def test_cases_with_one_value_of_a_tag_are_one_group_and_those_without_it_are_alone() -> None:
    numbers = number_groups(Outcomes.from_outcomes(tagged(video=["b", None, "a", "b", None])), "video")
    assert numbers is not None
    assert numbers[0] == numbers[3]
    assert sorted(np.unique(numbers, return_counts=True)[1].tolist()) == [1, 1, 1, 2]
    assert numbers.max() == 3


def test_no_tag_makes_no_groups_and_an_unknown_one_is_refused() -> None:
    cases = Outcomes.from_outcomes(tagged(video=["a", "b"]))
    assert number_groups(cases, "") is None
    with pytest.raises(SettingsError, match="no case has a tag 'vidoe' to group by; did you mean 'video'"):
        number_groups(cases, "vidoe")


@pytest.mark.parametrize(
    "tag", ["video", "Video", "video_id", "videoName", "videos", "patientID", "SEQ", "series", "clip-no", "subject 2"]
)
def test_a_tag_named_after_what_its_cases_share_suggests_groups(tag: str) -> None:
    cases = tagged(**{tag: [n // 20 for n in range(240)]})
    assert suggest_groups(cases) == Grouping(tag, 12, 240)


@pytest.mark.parametrize("tag", ["camera", "video_quality", "scene_type", "person_count", "id", "timestamp"])
def test_other_tags_of_few_values_suggest_none(tag: str) -> None:
    assert suggest_groups(tagged(**{tag: [n // 20 for n in range(240)]})) is None


@pytest.mark.parametrize("values", [range(240), [0] * 240, [None] * 240], ids=["all differ", "all alike", "none"])
def test_a_tag_that_groups_nothing_suggests_none(values: Iterable[object]) -> None:
    assert suggest_groups(tagged(video=values)) is None


def test_a_tag_of_many_values_with_several_cases_each_suggests_groups() -> None:
    assert suggest_groups(tagged(dog=[f"d{n % 40}" for n in range(240)])) == Grouping("dog", 40, 240)
    assert suggest_groups(tagged(dog=[f"d{n % 120}" for n in range(240)])) is None
    assert suggest_groups(tagged(exposure=[n % 40 / 8 for n in range(240)])) is None


def test_of_several_tags_the_one_with_the_fewest_groups_is_suggested() -> None:
    videos, dogs = [n // 10 for n in range(240)], [f"d{n // 5}" for n in range(240)]
    assert suggest_groups(tagged(video=videos, patient=[n // 3 for n in videos], dog=dogs)) == Grouping(
        "patient", 8, 240
    )


@pytest.mark.parametrize("form", ["cam{}_{:05}", "{}x/frame{:03}", "p{}-slice_{}", "v{}-{:02}"])
def test_ids_that_are_numbered_within_many_beginnings_suggest_groups(form: str) -> None:
    found = suggest_groups(named(*(form.format(video, frame) for video in range(30) for frame in range(4))))
    assert found == Grouping("", 30, 120)
    assert "give them a tag" in found.advice


@pytest.mark.parametrize("form", ["IMG_{:05}", "{:012}", "photo{}", "{}_mask"])
def test_ids_that_are_numbered_throughout_suggest_none(form: str) -> None:
    assert suggest_groups(named(*(form.format(n) for n in range(1000)))) is None


def test_the_advice_names_the_tag_and_what_happens_without() -> None:
    assert Grouping("video", 12, 241).advice == (
        "cases look grouped by 'video' (12 values, about 20 cases each): "
        "set group_by = 'video', or p-values and intervals count them as independent"
    )
