import numpy as np
import pytest

from segqa.errors import SettingsError
from segqa.gate.comparison import compare
from segqa.gate.rules import resolve_rules
from segqa.gate.self_test import DamageTrial, _add_noise, run_self_test
from segqa.gate.verdict import judge
from segqa.runs.groups import number_groups
from tests.gate.paired_runs import run_of

GOOD = [float(iou) for iou in np.random.default_rng(0).normal(0.9, 0.03, 120).clip(0, 0.99)]


def test_the_default_gate_sees_what_it_promises() -> None:
    trials = {trial.name: trial for trial in run_self_test(run_of(GOOD, tags=3))}
    assert len(trials) == 10
    assert all(trial.passed for trial in trials.values())
    assert trials["1 good cases to zero"].text.startswith("broken:0  1 case")
    assert trials["an identical copy"].fired == 0
    assert trials["one case missing"].fired == 1


def test_a_gate_that_promises_less_is_told_what_it_does_not_see() -> None:
    trials = {
        t.name: t for t in run_self_test(run_of(GOOD), resolve_rules(["broken:5", "mean_iou:-0.05", "errors:off"]))
    }
    assert trials["3 good cases to zero"].promised is None
    assert trials["3 good cases to zero"].fired == 0
    assert trials["10 good cases to zero"].fired == 1
    assert trials["all cases 0.5 points worse"].fired == 0
    assert trials["one case an error"].fired == 0
    assert all(trial.passed for trial in trials.values())


def test_missing_a_promise_or_crying_wolf_fails() -> None:
    assert not DamageTrial("x", 0, 1, True, "").passed
    assert not DamageTrial("x", 1, 1, False, "").passed
    assert not DamageTrial("x", 5, 20, False, "").passed
    assert DamageTrial("x", 4, 20, False, "").passed


def test_a_run_that_is_too_small_is_refused() -> None:
    with pytest.raises(SettingsError, match="10 scored cases or more, got 9"):
        run_self_test(run_of(GOOD[:9]))


def test_a_bad_run_can_be_damaged_too() -> None:
    trials = run_self_test(run_of([0.0, 0.3, None, *[0.1] * 12]))
    assert not any("good cases" in trial.name for trial in trials)


@pytest.mark.parametrize(("videos", "promised"), [(4, None), (12, True)])
def test_of_few_groups_no_mean_is_promised_but_broken_cases_are(videos: int, promised: bool | None) -> None:
    run = run_of(GOOD, tags=videos)
    trials = {trial.name: trial for trial in run_self_test(run, group_by="camera")}
    assert trials["all cases 0.5 points worse"].promised is promised
    assert trials["1 good cases to zero"].promised
    assert all(trial.passed for trial in trials.values())


def test_noise_that_groups_share_cries_wolf_where_cases_count_as_independent() -> None:
    run = run_of(GOOD, tags=8)
    rules = resolve_rules(["slice(*).mean_iou:off", "mean_iou:-0"])
    damage = _add_noise(number_groups(run.columns, "camera"))
    random = np.random.default_rng(0)
    copies = [compare(run, damage(run, random)) for _ in range(20)]
    alone, grouped = (sum(not judge(copy, rules, group_by=tag).passed for copy in copies) for tag in ("", "camera"))
    assert grouped <= 4 < alone
