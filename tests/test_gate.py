from dataclasses import replace

import numpy as np
import pytest

from segqa.comparison.comparison import compare
from segqa.errors import SettingsError
from segqa.gate import DEFAULT_RULES, judge, parse_rule, rules_of
from segqa.run import Run
from tests.comparison.runs import case_of, run_of

GOOD = np.random.default_rng(0).normal(0.9, 0.02, 240).clip(0, 0.99)


def judged(after: object, *rules: str, before: object = GOOD, **options: object) -> list[str]:
    """The keys of the rules that fire."""
    runs = [run_of(list(ious), tags=4) for ious in (before, after)]  # type: ignore[call-overload]
    verdict = judge(compare(*runs), rules_of(rules), **options)  # type: ignore[arg-type]
    return [finding.rule.partition(":")[0] for finding in verdict.findings]


def noise(seed: int, spread: float = 0.01) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, spread, 240)


def test_one_case_that_collapses_is_enough() -> None:
    after = GOOD + noise(1)
    after[17] = 0
    assert judged(after) == ["broken"]
    assert not judged(after, "broken:1")
    assert not judged(after, "broken:off")


def test_noise_is_no_regression() -> None:
    assert sum(bool(judged(GOOD + noise(seed))) for seed in range(20)) <= 3


def test_a_small_loss_everywhere_is_proven() -> None:
    assert judged(GOOD - 0.005) == ["mean_iou", "slice(*).mean_iou"]
    assert judged(GOOD - 0.005, "mean_iou:-0.01", "slice(*).mean_iou:off") == []


def test_a_slice_is_found_and_named() -> None:
    after = GOOD + noise(3)
    after[1::4] -= 0.02
    verdict = judge(compare(run_of(list(GOOD), tags=4), run_of(list(after), tags=4)))
    finding = verdict.findings[-1]
    assert finding.rule == "slice(*).mean_iou:-0.002"
    assert finding.condition == "camera=C1"
    assert "mean IoU in camera=C1 changed by -0.0" in finding.text
    assert len(finding.lines) == 5
    assert finding.rule in verdict.story


def test_a_slice_of_its_own_bound() -> None:
    after = GOOD.copy()
    after[1::4] -= 0.02
    only = ("slice(*).mean_iou:off", "mean_iou:off")
    assert judged(after, "slice(camera).mean_iou:-0.01", *only) == ["slice(camera).mean_iou"]
    assert not judged(after, "slice(camera).mean_iou:-0.03", *only)
    with pytest.raises(SettingsError, match="no case has a tag or property 'camra'"):
        judged(after, "slice(camra).mean_iou:-0.01")


def test_small_slices_are_said_to_be_unjudged() -> None:
    runs = [run_of([0.9] * 40, tags=4), run_of([0.8] * 40, tags=4)]
    verdict = judge(compare(*runs))
    assert [finding.rule for finding in verdict.findings] == ["mean_iou:-0.002"]
    assert "4 slices are not judged: fewer than 30 cases, or fewer than 5 of them changed" in verdict.notes


def test_a_new_error_and_a_missing_case() -> None:
    before = run_of([0.9, 0.9, None, 0.9])
    after = run_of([0.9, None, None, 0.9])
    after = replace(after, outcomes=after.outcomes[:3])
    verdict = judge(compare(before, after))
    assert {finding.rule: finding.cases for finding in verdict.findings} == {
        "errors:+0": ("0001",),
        "missing:0": ("0003",),
    }


def test_kinds_are_counted_or_in_percent_of_the_cases() -> None:
    after = GOOD.copy()
    after[:3] = 0.0
    assert judged(after, "broken:off", "wrong_object:+0", "mean_iou:off", "slice(*).mean_iou:off") == ["wrong_object"]
    assert not judged(after, "broken:off", "wrong_object:+3", "mean_iou:off", "slice(*).mean_iou:off")
    assert judged(after, "broken:off", "wrong_object:+1%", "mean_iou:off", "slice(*).mean_iou:off") == ["wrong_object"]
    assert not judged(after, "broken:off", "wrong_object:+2%", "mean_iou:off", "slice(*).mean_iou:off")


def test_numbers_that_are_not_tested() -> None:
    after = GOOD.copy()
    after[:20] -= 0.1
    off = ("mean_iou:off", "slice(*).mean_iou:off")
    assert judged(after, "p05:-0.02", *off) == ["p05"]
    assert judged(after, "pooled_iou:-0.001", *off) == ["pooled_iou"]
    assert not judged(after, "regret:+0.01", *off)


def test_seconds_of_two_runs() -> None:
    def timed(seconds: float) -> Run:
        return replace(run_of([0.9]), outcomes=(case_of("0000", 0.9, seconds=seconds),))

    rules = rules_of(["latency_p95:+20%"])
    assert (
        judge(compare(timed(0.1), timed(0.15)), rules).findings[0].text == "seconds a case are 1.50 times those before"
    )
    assert judge(compare(timed(0.1), timed(0.11)), rules).passed
    committed = replace(timed(0.1), provenance={"accepted": []}, outcomes=(case_of("0000", 0.9, digest="x"),))
    with pytest.raises(SettingsError, match="a baseline keeps no seconds"):
        judge(replace(compare(timed(0.1), timed(0.1)), baseline=committed), rules)


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (GOOD, "identical"),
        (GOOD + 0.01, "improved"),
        (GOOD - 0.01, "regressed"),
        (GOOD + noise(5, 0.05), "inconclusive"),
    ],
    ids=["identical", "improved", "regressed", "inconclusive"],
)
def test_the_verdicts_name(after: list[float], name: str) -> None:
    verdict = judge(compare(run_of(list(GOOD)), run_of(list(after))))
    assert verdict.name == name
    assert name in verdict.headline


def test_a_change_too_small_to_matter_is_similar() -> None:
    after = GOOD.copy()
    after[:40] -= 0.001
    assert judge(compare(run_of(list(GOOD), tags=4), run_of(list(after), tags=4))).name == "similar"


def test_what_could_have_been_seen_is_said() -> None:
    verdict = judge(compare(run_of(list(GOOD[:24])), run_of(list(GOOD[:24] + noise(1, 0.05)[:24]))))
    assert any("would surely be seen" in note for note in verdict.notes)
    assert verdict.detectable > 0.01


@pytest.mark.parametrize(
    "text",
    ["", "mean_iou", "mean_iou:", "mean_iou:nan", "mean_iou:-inf", "mean_iou:0.01", "mean_iou:+0.01", "mean_iou:-1%",
     "mean_iou:-5", "broken:-1", "broken:0.5", "broken:1%", "wrong_object:0", "wrong_object:+0.5", "errors:-1",
     "latency_p95:+20", "latency_p95:-5%", "slice(camera).broken:0", "regret:-0.1", "slice().mean_iou:-0.1", "menu:0"],
)  # fmt: skip
def test_a_bound_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="rule "):
        parse_rule(text)


@pytest.mark.parametrize("text", [*DEFAULT_RULES, "wrong_object:+1%", "latency_p50:+20%", "regret:+0.01", "p05:-0.05"])
def test_a_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_rule(text)) == text


def test_a_rule_takes_the_place_of_its_like() -> None:
    rules = rules_of(["mean_iou:-0.05", "broken:off", "missed:+0", "missed:+1"])
    assert [str(rule) for rule in rules] == [
        "errors:+0", "missing:0", "mean_iou:-0.05", "slice(*).mean_iou:-0.002", "missed:+1",
    ]  # fmt: skip


def test_nothing_to_compare_is_no_pass_by_accident() -> None:
    verdict = judge(compare(run_of([0.9]), run_of([None])))
    assert not verdict.passed
