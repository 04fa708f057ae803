from segqa.runs.outcome import Outcome
from segqa.runs.slices import Edges, assign_slices, find_edges, list_attributes


def case(tags: dict[str, str] | None = None, **properties: float) -> Outcome:
    return Outcome(case_id="x", tags=tags or {}, properties=properties)


def slice_of(one: Outcome, attribute: str, edges: Edges) -> str | None:
    return next(iter(assign_slices([one], attribute, edges)))


def test_numbers_are_cut_into_thirds_with_readable_names() -> None:
    cases = [case(brightness=n / 10) for n in range(9)]
    edges = find_edges(cases)
    assert list(assign_slices(cases, "brightness", edges)) == ["dark"] * 3 + ["medium"] * 3 + ["bright"] * 3


def test_counts_are_named_by_their_numbers() -> None:
    cases = [case(proposals=float(n)) for n in [1, 1, 1, 2, 2, 3, 3, 5, 9]]
    edges = find_edges(cases)
    assert edges["proposals"] == (1.0, 3.0)
    assert set(assign_slices(cases, "proposals", edges)) == {"0-1", "2-3", "4+"}


def test_a_cut_that_leaves_nothing_above_is_none() -> None:
    edges = find_edges([case(components=1.0)] * 8 + [case(components=0.0)])
    assert edges["components"] == ()
    two = find_edges([case(components=1.0)] * 8 + [case(components=2.0)] * 2)
    assert two["components"] == (1.0,)
    assert slice_of(case(components=2.0), "components", two) == "2+"


def test_one_cut_makes_a_low_and_a_high_slice() -> None:
    edges = {"sharpness": (5.0,)}
    assert list(assign_slices([case(sharpness=s) for s in (5.0, 5.1)], "sharpness", edges)) == ["blurred", "sharp"]
    assert slice_of(case(image_size=9.0), "image_size", {"image_size": ()}) == "medium"


def test_the_border_is_touched_or_not() -> None:
    assert list(assign_slices([case(border=value) for value in (0.0, 1.0)], "border", {})) == ["free", "touching"]


def test_a_numeric_tag_is_cut_and_keeps_its_values() -> None:
    cases = [case({"distance": f"{n}.5", "camera": "7"}) for n in range(12)]
    edges = find_edges(cases)
    assert set(edges) == {"distance"}
    assert slice_of(cases[0], "distance", edges) == "low"
    assert slice_of(cases[6], "distance", edges) == "medium"
    assert slice_of(cases[11], "distance", edges) == "high"
    assert slice_of(cases[0], "camera", edges) == "7"


def test_few_numbers_or_a_word_among_them_are_names() -> None:
    assert not find_edges([case({"take": str(n)}) for n in range(10)])
    assert not find_edges([case({"take": str(n)}) for n in range(20)] + [case({"take": "last"})])


def test_numbers_that_are_names_are_not_cut() -> None:
    assert not find_edges([case({"dancer": str(n % 20 + 1)}) for n in range(400)])
    assert not find_edges([case({"frame": f"{n:03}"}) for n in range(50)])
    assert not find_edges([case({"day": f"2024_{n:02}"}) for n in range(50)])
    assert find_edges([case({"frame": str(n)}) for n in range(50)])


def test_what_a_case_does_not_have_is_no_slice() -> None:
    assert slice_of(case(), "brightness", {"brightness": (0.5,)}) is None
    assert slice_of(case(brightness=0.5), "brightness", {}) is None
    assert find_edges([]) == {}


def test_attributes_are_tags_first() -> None:
    cases = [case({"zoo": "1"}, brightness=0.1), case({"camera": "C1"}, zoo=3.0)]
    assert list_attributes(cases) == ["camera", "zoo", "brightness"]
