import json

import pytest

from segqa.analysis.failure_clusters.search import find_clusters
from segqa.gate.comparison import compare
from segqa.gate.verdict import judge
from segqa.report.exports import MAX_MARKDOWN, JudgedRun, escape, to_annotations, to_json, to_markdown, to_openmetrics
from segqa.report.session_result import SessionResult
from segqa.runs.run import Run
from tests.analysis.failure_clusters.synthetic import make_video_run
from tests.gate.paired_runs import run_of

HOSTILE = "</td><script>alert(1)</script> | `@team` [x](y) \n# big"


def judged(before: Run, after: Run) -> JudgedRun:
    return JudgedRun(after, judge(compare(before, after)), "", find_clusters(after))


def broken(**rest: object) -> JudgedRun:
    return judged(run_of([0.9] * 20, **rest), run_of([0.0, *[0.9] * 19], **rest))  # type: ignore[arg-type]


def test_the_json_says_what_a_script_needs() -> None:
    found = json.loads(json.dumps(to_json([broken()], SessionResult((("t", "why"),), findings=("no evaluation",)), 1)))
    (model,) = found["models"]
    assert (found["exit_status"], model["verdict"], model["broken"]) == (1, "regressed", ["0000"])
    assert model["findings"][0]["rule"] == "broken:0"
    assert model["transitions"] == {"passed → wrong_object": 1}
    assert found["failing"] == [{"test": "t", "reason": "why"}]
    assert (found["findings"], found["warnings"], found["problem"]) == (["no evaluation"], [], "")


@pytest.mark.parametrize(
    ("ending", "head"),
    [
        (SessionResult(), "passed"),
        (SessionResult(warnings=("w",)), "passed"),
        (SessionResult((("t", "why"),)), "failed (1 test)"),
        (SessionResult(findings=("f",)), "failed"),
        (SessionResult(problem="p"), "incomplete"),
        (SessionResult(complete=False), "incomplete"),
    ],
)
def test_markdown_says_passed_only_where_nothing_was_found(ending: SessionResult, head: str) -> None:
    lines = to_markdown([], ending).splitlines()
    assert lines[0] == f"### segqa: {head}"
    told = [
        line.strip("-* ").removeprefix("warning: ") for line in lines if line.startswith("- ") and "why" not in line
    ]
    assert told == [text for text in (ending.problem, *ending.findings, *ending.warnings) if text]


def test_what_is_not_known_is_null() -> None:
    nothing = JudgedRun(run_of([None]), None, "no baseline", find_clusters(run_of([None])))
    (model,) = json.loads(json.dumps(to_json([nothing], SessionResult(), 0), allow_nan=False))["models"]
    assert (model["mean_iou"], model["verdict"], model["why"]) == (None, "no baseline", "no baseline")


def test_json_and_markdown_say_what_limits_the_search_for_clusters() -> None:
    run = make_video_run(4, 5, lambda own, _: own["f0"] == "v1")
    one = JudgedRun(run, None, "no baseline", find_clusters(run, group_by="video"))
    note = "with 4 groups nothing can be proven at alpha 0.01"
    assert f"- failure clusters: {note}" in to_markdown([one], SessionResult())
    assert to_json([one], SessionResult(), 0)["models"][0]["cluster_note"] == note


def test_markdown_shows_hostile_names_as_they_are() -> None:
    text = to_markdown(
        [broken(model=HOSTILE)], SessionResult(((HOSTILE, HOSTILE),), findings=(HOSTILE,), warnings=(HOSTILE,))
    )
    assert "<script>" not in text
    assert "\n# big" not in text
    assert "@team" not in text
    assert text.count("\n| ") == 3


@pytest.mark.parametrize("sign", list("\\`*_{}[]()#|~!"))
def test_every_sign_of_markdown_is_escaped(sign: str) -> None:
    assert escape(f"a{sign}b") == f"a\\{sign}b"


def test_a_long_text_is_cut_and_says_so() -> None:
    text = to_markdown([broken()], SessionResult(tuple((f"test_{n}", "x" * 200) for n in range(1000))))
    assert len(text) <= MAX_MARKDOWN
    assert text.endswith("… cut here: verdict.json has all of it\n")


def test_clusters_that_the_baseline_did_not_have_are_new() -> None:
    before = run_of([0.9] * 80, tags=4)
    after = run_of([0.0 if case % 4 == 1 else 0.9 for case in range(80)], tags=4)
    assert [cluster.condition for cluster in judged(before, after).new_clusters] == ["camera=C1"]
    assert not judged(after, after).new_clusters
    assert "new cluster: camera=C1" in to_markdown([judged(before, after)], SessionResult())


def test_openmetrics_has_a_type_for_each_family_and_an_end() -> None:
    lines = to_openmetrics([broken(model='a"b\\c')]).splitlines()
    assert lines[-1] == "# EOF"
    assert 'segqa_mean_iou{model="a\\"b\\\\c",dataset="photos"} 0.855' in lines
    assert lines.count("# TYPE segqa_mean_iou gauge") == 1


def test_annotations_are_one_line_each() -> None:
    (line,) = to_annotations([broken(model="a,b:c\nd%")], SessionResult())
    assert line.startswith("::error title=segqa a%2Cb%3Ac%0Ad%25 broken%3A0::1 case collapsed")
    assert "\n" not in line


def test_annotations_carry_what_the_session_found() -> None:
    ending = SessionResult(findings=("no evaluation\nat all",), warnings=("no baseline",))
    assert to_annotations([], ending) == [
        "::error title=segqa::no evaluation%0Aat all",
        "::warning title=segqa::no baseline",
    ]


def test_a_change_over_a_part_of_the_cases_says_over_which() -> None:
    one = judged(run_of([*[0.9] * 9, 0.1]), run_of([*[0.8] * 9, None]))
    assert "| 0.8000 | 0.8200 | -0.1000 (9 cases scored in both runs) |" in to_markdown([one], SessionResult())
    (model,) = to_json([one], SessionResult(), 1)["models"]
    named = [model[name] for name in ("paired_baseline_mean_iou", "paired_mean_iou", "mean_difference", "paired_cases")]
    assert named == pytest.approx([0.9, 0.8, -0.1, 9])
