from collections.abc import Sequence
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from segqa.errors import SettingsError
from segqa.gate.comparison import compare
from segqa.gate.policy import judge_with_settings
from segqa.gate.rules import DEFAULT_RULES, Rule, parse_rule, resolve_rules
from segqa.gate.verdict import Finding, Verdict, judge
from segqa.runs.run import Run
from segqa.settings import GateSettings
from tests.gate.paired_runs import case_of, run_of

MEANS_OFF = ("mean_iou:off", "slice(*).mean_iou:off")

GOOD = np.random.default_rng(0).normal(0.9, 0.02, 240).clip(0, 0.99)


def judged(after: object, *rules: str, before: object = GOOD, **options: object) -> list[str]:
    """The keys of the rules that fire."""
    runs = [run_of(list(ious), tags=4) for ious in (before, after)]  # type: ignore[call-overload]
    verdict = judge(compare(*runs), resolve_rules(rules), **options)  # type: ignore[arg-type]
    return [finding.rule.partition(":")[0] for finding in verdict.findings]


def verdict_on(before: Sequence[float | None], after: Sequence[float | None], *rules: str) -> Verdict:
    return judge(compare(run_of(before), run_of(after)), resolve_rules(rules))


def in_slices(run: Run, sizes: dict[str, int]) -> Run:
    """The run, its first so many cases in one camera, the next in another one."""
    cameras = [name for name, size in sizes.items() for _ in range(size)]
    tagged = (replace(o, tags={"camera": name}) for o, name in zip(run.outcomes, cameras, strict=True))
    return replace(run, outcomes=tuple(tagged))


def offered(iou: float, best: float) -> Run:
    """A run of one case, in which a better proposal was not picked."""
    taken, other = case_of("0000", iou), case_of("0000", best)
    return replace(
        run_of([iou]), outcomes=(replace(taken, proposal_scores=(*taken.proposal_scores, *other.proposal_scores)),)
    )


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

    rules = resolve_rules(["latency_p95:+20%"])
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
    assert any("would be seen, in 80 %" in note for note in verdict.notes)
    assert verdict.detectable > 0.01


@pytest.mark.parametrize(
    "text",
    ["", "mean_iou", "mean_iou:", "mean_iou:nan", "mean_iou:-inf", "mean_iou:0.01", "mean_iou:+0.01", "mean_iou:-1%",
     "mean_iou:-5", "broken:-1", "broken:0.5", "broken:1%", "wrong_object:0", "wrong_object:+0.5", "errors:-1",
     "latency_p95:+20", "latency_p95:-5%", "slice(camera).broken:0", "regret:-0.1", "slice().mean_iou:-0.1", "menu:0",
     "mean_iou:-1", "mean_iou:-1.5", "p05:-1", "regret:+1", "regret:+1.5", "regret:+1%", "broken:+1", "errors:+0.5",
     "error:+0"],
)  # fmt: skip
def test_a_bound_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="rule "):
        parse_rule(text)


@pytest.mark.parametrize("text", [*DEFAULT_RULES, "wrong_object:+1%", "latency_p50:+20%", "regret:+0.01", "p05:-0.05"])
def test_a_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_rule(text)) == text


def test_a_rule_takes_the_place_of_its_like() -> None:
    rules = resolve_rules(["mean_iou:-0.05", "broken:off", "missed:+0", "missed:+1"])
    assert [str(rule) for rule in rules] == [
        "errors:+0", "missing:0", "changed_data:0", "mean_iou:-0.05", "slice(*).mean_iou:-0.002", "missed:+1",
    ]  # fmt: skip


def test_nothing_to_compare_is_no_pass_by_accident() -> None:
    verdict = judge(compare(run_of([0.9]), run_of([None])))
    assert not verdict.passed


def test_regret_may_fall_and_not_rise() -> None:
    good, poor = offered(0.9, 0.9), offered(0.8, 0.9)
    rules = resolve_rules(["regret:+0.05", *MEANS_OFF])
    (found,) = judge(compare(good, poor), rules).findings
    assert (found.rule, found.text) == ("regret:+0.05", "regret 0.0000 → 0.1000")
    assert judge(compare(poor, good), rules).passed
    assert judge(compare(good, offered(0.86, 0.9)), rules).passed
    assert judge(compare(good, poor), resolve_rules(["regret:+0.1", *MEANS_OFF])).passed


def test_a_number_may_change_by_its_bound() -> None:
    before, after = [0.9] * 20, [0.89] * 20
    assert verdict_on(before, after, "p05:-0.02", *MEANS_OFF).passed
    assert verdict_on(before, after, "p05:-0.01", *MEANS_OFF).passed
    assert verdict_on(before, before, "p05:-0", *MEANS_OFF).passed
    assert not verdict_on(before, after, "p05:-0", *MEANS_OFF).passed
    assert verdict_on(after, before, "p05:-0", *MEANS_OFF).passed
    assert not verdict_on([0.3] * 20, [0.2] * 20, "p05:-0.05", *MEANS_OFF).passed


def test_fewer_than_allowed_may_fail_or_be_missing() -> None:
    before, after = run_of([0.9] * 4), run_of([0.9, 0.9, 0.9, None])
    assert judge(compare(before, after), resolve_rules(["errors:+2"])).passed
    after = replace(after, outcomes=after.outcomes[:3])
    assert judge(compare(before, after), resolve_rules(["missing:2"])).passed
    assert judge(compare(before, after), resolve_rules(["missing:1"])).passed


def test_collapsed_cases_are_listed_the_worst_first() -> None:
    verdict = verdict_on([0.9] * 13, [0.9, 0.0, 0.3, *[0.0] * 10], "broken:10", *MEANS_OFF)
    (found,) = verdict.findings
    assert found.text == "12 cases collapsed, allowed 10"
    assert found.cases == ("0001", *(f"{n:04}" for n in range(3, 13)), "0002")
    assert found.lines[0] == "0.9000 → 0.0000  wrong_object  0001"
    assert verdict.story.splitlines()[1:] == [
        "broken:10  12 cases collapsed, allowed 10",
        *(f"  0.9000 → 0.0000  wrong_object  {n:04}" for n in (1, 3, 4, 5, 6)),
        "  … and 7 more",
    ]


@pytest.mark.parametrize("lost", [1, 5])
def test_where_all_cases_are_shown_no_more_are_promised(lost: int) -> None:
    story = verdict_on([0.9] * 8, [0.0] * lost + [0.9] * (8 - lost), *MEANS_OFF).story
    assert f"broken:0  {lost} case{'s' * (lost > 1)} collapsed, allowed 0" in story
    assert "more" not in story.partition("note:")[0]


def test_missing_cases_and_errors_are_named_with_a_reason() -> None:
    before = run_of([0.9] * 13)
    error = replace(case_of("0000", None), error=f"Traceback\n{'x' * 130}")
    after = replace(before, outcomes=(error, *before.outcomes[1:6]))
    errors, missing = judge(compare(before, after)).findings
    assert errors.text == "1 case cannot be evaluated any more, allowed 0"
    assert errors.lines == (f"0000  {'x' * 120}",)
    assert missing.text == "7 cases of the baseline without an outcome, allowed 0"
    assert missing.lines == ("0006", "0007", "0008", "0009", "0010")
    assert len(missing.cases) == 7


def test_cases_that_turned_into_a_kind_are_listed() -> None:
    before, after = [0.0, 0.9, 0.9, 0.9, 0.0], [0.0, 0.01, 0.9, 0.0, 0.9]
    (found,) = verdict_on(before, after, "wrong_object:+0", "broken:off", *MEANS_OFF).findings
    assert found.text == "wrong_object 2 → 3 of 5 cases"
    assert found.cases == ("0003", "0001")
    assert verdict_on(before, before, "wrong_object:+0").passed
    assert verdict_on([0.9], [0.0], "boundary:+0", "broken:off", *MEANS_OFF).passed
    assert verdict_on([0.0, 0.9], [0.0, 0.0], "wrong_object:+1", "broken:off", *MEANS_OFF).passed


def test_each_percent_of_a_kind_is_a_case_of_a_hundred() -> None:
    before, after = [0.9] * 250, [0.0] * 5 + [0.9] * 245
    off = ("broken:off", *MEANS_OFF)
    assert verdict_on(before, after, "wrong_object:+2%", *off).passed
    assert not verdict_on(before, after, "wrong_object:+1.9%", *off).passed


def test_seconds_may_grow_by_just_the_percent() -> None:
    def timed(seconds: float) -> Run:
        return replace(run_of([0.9]), outcomes=(case_of("0000", 0.9, seconds=seconds),))

    rules = resolve_rules(["latency_p50:+100%"])
    assert judge(compare(timed(1), timed(2)), rules).passed
    assert judge(compare(timed(1), timed(1.995)), rules).passed
    assert not judge(compare(timed(1), timed(2.005)), rules).passed
    none = resolve_rules(["latency_p50:+0%"])
    assert judge(compare(timed(1), timed(1)), none).passed
    assert not judge(compare(timed(1), timed(1.005)), none).passed


def test_seconds_may_grow_by_as_much_as_noise() -> None:
    def timed(seconds: float) -> Run:
        return replace(run_of([0.9]), outcomes=(case_of("0000", 0.9, seconds=seconds),))

    rules = resolve_rules(["latency_p50:+20%"])
    assert judge(compare(timed(0.00002), timed(0.0001)), rules).passed
    assert not judge(compare(timed(0.00002), timed(0.001)), rules).passed


def test_a_mean_without_tolerance_may_not_drop_at_all() -> None:
    only = ("mean_iou:-0", "slice(*).mean_iou:off")
    assert judged(GOOD - 0.001, *only) == ["mean_iou"]
    assert judged(GOOD + 0.001, *only) == []
    (found,) = verdict_on([0.9] * 40, [0.8] * 40, *only).findings
    assert found.text == "mean IoU changed by -0.1000 over 40 cases, proven below 0 (p 0.0001)"


def test_only_slices_with_enough_cases_and_changes_are_judged() -> None:
    sizes = {"A": 30, "B": 30, "C": 30, "D": 29, "E": 29, "F": 30}
    changed = [*[5, 25], *[30, 0], *[4, 26], *[29, 0], *[29, 0], *[0, 30]]
    after = np.repeat([0.4, 0.9] * 6, changed)
    runs = [in_slices(run_of(ious), sizes) for ious in ([0.9] * 178, after.tolist())]
    off = ("broken:off", "mean_iou:off", "slice(*).mean_iou:off")
    verdict = judge(compare(*runs), resolve_rules(["slice(camera).mean_iou:-0.002", *off]), alpha=0.1)
    (found,) = verdict.findings
    assert found.condition == "camera=B"
    assert "; also camera=A (-0.0833)" in found.text
    assert any(note.startswith("3 slices are not judged") for note in verdict.notes)


@pytest.mark.parametrize("sizes", [{"A": 29, "C": 1, "B": 148}, {"A": 15, "C": 15, "B": 148}])
def test_new_tags_hide_no_slice_that_dropped(sizes: dict[str, int]) -> None:
    before = in_slices(run_of([0.9] * 178), {"A": 30, "B": 148})
    after = in_slices(run_of([0.7] * 30 + [0.95] * 148), sizes)
    (found,) = judge(compare(before, after)).findings
    assert found.text.startswith("mean IoU in camera=A of the baseline changed by -0.2000 over 30 cases")
    assert not found.condition


def test_slices_that_are_all_judged_leave_no_note() -> None:
    verdict = judge(compare(run_of(list(GOOD), tags=4), run_of(list(GOOD - 0.01), tags=4)))
    assert not any("not judged" in note for note in verdict.notes)


@pytest.mark.parametrize(("slices", "more"), [(3, ""), (6, ""), (12, ", and 6 more")])
def test_five_more_slices_are_named(slices: int, more: str) -> None:
    runs = [run_of([iou] * 30 * slices, tags=slices) for iou in (0.9, 0.8)]
    (found,) = judge(compare(*runs), resolve_rules(["mean_iou:off"])).findings
    names = [f"camera=C{n}" for n in sorted(map(str, range(slices)))]
    text = "mean IoU in camera=C0 changed by -0.1000 over 30 cases, proven below -0.002 (p 0.0001)"
    assert found.text == f"{text}; also {', '.join(f'{name} (-0.1000)' for name in names[1:6])}{more}"
    assert found.cases == tuple(f"{n:04}" for n in range(0, 30 * slices, slices))


def test_the_surest_slice_comes_first() -> None:
    after = GOOD + noise(3, 0.001)
    after[1::4] -= 0.005 + noise(4, 0.02)[1::4]
    after[2::4] -= 0.02
    verdict = judge(compare(run_of(list(GOOD), tags=4), run_of(list(after), tags=4)), alpha=0.5)
    found = verdict.findings[-1]
    assert found.condition == "camera=C2"
    assert "; also camera=C1 (-0.0" in found.text


def test_cases_that_gained_are_no_witness_of_a_loss() -> None:
    after = [0.6] * 50 + [0.9] * 5 + [0.95] * 5
    (found,) = verdict_on([0.9] * 60, after, "broken:off", "slice(*).mean_iou:off").findings
    assert found.cases == tuple(f"{n:04}" for n in range(50))
    assert found.text.startswith("mean IoU changed by -0.2458 over 60 cases, proven below -0.002 (p ")


def test_every_metric_of_the_counts_has_its_mean() -> None:
    rules = ("mean_iou:off", "mean_recall:-0.01", "mean_dice:-0.01", "mean_precision:-0.01")
    found = judge(compare(run_of(list(GOOD)), run_of(list(GOOD - 0.1))), resolve_rules(rules)).findings
    assert [finding.text.partition(" changed")[0] for finding in found] == ["mean recall", "mean dice"]


def test_findings_stand_in_the_order_of_the_rules() -> None:
    assert judged(GOOD - 0.05, "p05:-0.01") == ["mean_iou", "slice(*).mean_iou", "p05"]


def test_the_headline_says_both_means_and_the_change() -> None:
    assert verdict_on([0.9] * 10, [0.8] * 10).headline == (
        "unet: regressed, mean IoU 0.9000 → 0.8000 (-0.1000 over 10 cases)"
    )
    assert verdict_on([0.9], [None]).headline == "unet: regressed, no case has an IoU in both runs"


def test_the_headline_compares_the_means_of_the_same_cases() -> None:
    verdict = verdict_on([*[0.9] * 9, 0.1], [*[0.8] * 9, None], "errors:off", "p05:-0.01")
    assert verdict.headline == ("unet: regressed, mean IoU 0.9000 → 0.8000 (-0.1000 over 9 cases scored in both runs)")
    assert verdict.comparison.paired_means == pytest.approx((0.9, 0.8))
    assert verdict_on([0.9] * 4, [*[0.9] * 4, 0.1]).headline == (
        "unet: similar, mean IoU 0.9000 → 0.9000 (+0.0000 over 4 cases scored in both runs)"
    )


def test_a_number_of_other_cases_than_before_says_of_how_many() -> None:
    (found,) = verdict_on(
        [0.9] * 10, [*[0.9] * 4, None, *[0.8] * 5], "errors:off", "p05:-0.01", "mean_iou:off"
    ).findings
    assert found.text == "p05 0.9000 → 0.8000 (over 10, then 9 cases)"


def test_a_loss_of_just_the_tolerance_is_similar() -> None:
    assert verdict_on([0.75] * 40, [0.5] * 40, "mean_iou:-0.25").name == "similar"
    assert verdict_on([0.75] * 40, [0.5] * 40, "mean_iou:-0.25", "broken:5", "mean_iou:-0.5").name == "similar"


def test_without_a_tolerance_a_loss_that_is_not_proven_is_inconclusive() -> None:
    assert verdict_on([0.9] * 40, [0.85, *[0.9] * 39], "mean_iou:off").name == "inconclusive"


def test_a_new_case_alone_improves_nothing() -> None:
    verdict = verdict_on([0.9] * 40, [0.9] * 42)
    assert verdict.name == "similar"
    assert "2 of 42 cases are not in the baseline, so nothing judges them, such as 0040" in verdict.notes
    assert verdict_on([0.9] * 40, [0.9] * 42, "mean_iou:off").name == "similar"


def test_a_drop_that_would_have_been_seen_is_not_noted() -> None:
    after = GOOD.copy()
    after[:40] -= 0.001
    verdict = judge(compare(run_of(list(GOOD), tags=4), run_of(list(after), tags=4)))
    assert not verdict.notes
    wide = judge(compare(run_of(list(GOOD)), run_of(list(GOOD + noise(1)))), resolve_rules(["mean_iou:off"]))
    assert not wide.notes


def test_how_likely_the_mean_is_by_chance_is_told() -> None:
    worse, better = (judge(compare(run_of(list(GOOD)), run_of(list(GOOD + by)))).mean for by in (-0.01, 0.01))
    assert worse is not None
    assert better is not None
    assert worse.p < 0.001
    assert better.p == 1


def test_by_the_settings_unless_the_caller_says_otherwise() -> None:
    after = run_of(list(GOOD + noise(2, 0.02) - 0.002), tags=60)
    comparison = compare(run_of(list(GOOD), tags=60), after)
    strict = GateSettings(fail_on=("mean_iou:-0", *MEANS_OFF[1:]), alpha=1e-4)
    assert judge_with_settings(strict, comparison).passed
    assert not judge_with_settings(replace(strict, alpha=0.2), comparison).passed
    assert judge_with_settings(replace(strict, alpha=0.2), comparison, fail_on=["mean_iou:-0.01"]).passed
    with pytest.raises(SettingsError, match="no case has a tag 'video'"):
        judge_with_settings(replace(strict, group_by="video"), comparison)
    assert judge_with_settings(replace(strict, group_by="video"), comparison, group_by="").passed


def test_what_is_just_as_rare_as_the_level_is_found() -> None:
    comparison = compare(run_of([0.9] * 40), run_of([0.8] * 40))
    assert not judge(comparison, resolve_rules(()), alpha=1 / 10_001).passed
    assert judge(comparison, resolve_rules(()), alpha=0.9 / 10_001).passed


def test_a_rule_made_by_hand_counts_cases() -> None:
    assert str(Rule("missed", 1.0)) == "missed:+1"
    assert str(Rule("mean_iou", None, attribute="camera")) == "slice(camera).mean_iou:off"


@pytest.mark.parametrize("made", [Rule("broken", 0), Finding("broken:0", "1 case"), verdict_on([0.9], [0.9])], ids=str)
def test_what_the_gate_says_cannot_be_changed(made: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(made)[0].name, "")  # type: ignore[arg-type]
    assert not hasattr(made, "__dict__")


def test_two_verdicts_on_one_comparison_are_two() -> None:
    comparison = compare(run_of([0.9] * 3), run_of([0.9] * 3))
    assert judge(comparison) != judge(comparison)
