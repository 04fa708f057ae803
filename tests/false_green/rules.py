"""Rules, bounds and known failures that disarm the gate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.false_green.baselines import FILE
from tests.false_green.changes import Change, delete, tables, worse
from tests.false_green.trial import COLLAPSED, ERRING, Trial, name_case
from tests.false_green.way import Attempt, Ways

RULES = Ways("rules and bounds")
KNOWN = Ways("known failures")

SOON = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
BROKEN = name_case(5)
MEANS = ("mean_iou:off", "slice(*).mean_iou:off")


def gate(*lines: str) -> Change:
    """Write the table of the gate."""
    return tables("\n".join(["[tool.segqa.gate]", *lines]))


def rules(*texts: str) -> Change:
    """Write the table of the gate with some rules."""
    return gate(f"fail_on = [{', '.join(map(repr, texts))}]")


def bounds(*lines: str, model: str = "") -> Change:
    """Write the table of the thresholds."""
    return tables("\n".join([f"[tool.segqa.thresholds{model and '.'}{model}]", *lines]))


def known(where: str, *, until: str = SOON, reason: str = "it is on its way") -> Change:
    """Write an entry of the known failures."""
    return tables(f'[[tool.segqa.known]]\nwhere = "{where}"\nreason = "{reason}"\nuntil = {until}')


def relaxed(name: str) -> str:
    """Return the line that names what was relaxed."""
    return f"relaxed since the baseline: …{name}"


def collapsed(*changes: Change, options: tuple[str, ...] = ()) -> Attempt:
    """Break one case, and change something else."""
    return worse(*changes, edit=COLLAPSED, options=options)


def erring(*changes: Change) -> Attempt:
    """Let the model raise in some cases, and change something else."""
    return worse(*changes, edit=ERRING)


BUDGET = bounds("errors = 1.0")

for _name, _code, _says, _attempt, _slow in (
    ("the rule on broken cases is off", 0, relaxed("broken"), collapsed(rules("broken:off")), False),
    ("many broken cases are allowed", 0, relaxed("broken"), collapsed(rules("broken:99")), True),
    ("rules are relaxed by an option", 0, relaxed("broken"), collapsed(options=("--segqa-fail-on=broken:off",)), False),
    ("the rules on means are off", 0, relaxed("mean_iou"), worse(rules(*MEANS)), True),
    ("the mean may drop by nearly all", 0, relaxed("mean_iou"), worse(rules("mean_iou:-0.99", MEANS[1])), True),
    (
        "another metric is tested in its place",
        0,
        relaxed("mean_iou"),
        worse(rules(*MEANS, "mean_precision:-0.01")),
        True,
    ),
    ("the rule on errors is off", 0, relaxed("errors"), erring(rules("errors:off"), BUDGET), True),
    ("many errors are allowed", 0, relaxed("errors"), erring(rules("errors:+99"), BUDGET), True),
    ("errors are allowed in per cent", 0, relaxed("errors"), erring(rules("errors:+90%"), BUDGET), True),
    ("only the budget of errors is raised", 1, "errors:+0", erring(BUDGET), True),
    ("a rule is misspelt", 4, "unknown subject", worse(rules("brokn:0", *MEANS)), True),
    ("a bound is not a number", 4, "mean_iou:nan", worse(rules("mean_iou:nan")), True),
    ("a bound has the wrong sign", 4, "mean_iou:+0.1", worse(rules("mean_iou:+0.1")), True),
    ("the threshold of IoU is 0", 4, "iou must be a number", collapsed(bounds("iou = 0.0")), False),
    (
        "the threshold of IoU is 0 for the model",
        4,
        "iou must be a number",
        collapsed(bounds("iou = 0.0", model="mine")),
        True,
    ),
    ("the threshold of IoU is nearly 0", 4, "iou must be a number", collapsed(bounds("iou = 0.01")), True),
    ("the threshold of IoU is low", 1, "broken:0", collapsed(bounds("iou = 0.1")), True),
    (
        "the threshold of IoU is lowered",
        0,
        relaxed("iou"),
        worse(bounds("iou = 0.2", "mean_iou = 0.0"), rules(*MEANS), edit={"LOSE": 7}),
        True,
    ),
    (
        "the bounds of quality are lowered",
        1,
        "mine: regressed",
        worse(bounds("mean_iou = 0.0", "wrong_object = 1.0")),
        True,
    ),
    (
        "a model may become a thousand times slower",
        0,
        relaxed("slowdown"),
        worse(bounds("slowdown = 1000.0"), edit={}),
        True,
    ),
    ("alpha is tiny", 4, "alpha must be a number from 0.0001", worse(gate("alpha = 1e-12")), False),
    ("alpha is lowered", 0, relaxed("alpha"), worse(gate("alpha = 0.0001")), True),
    ("alpha is 0", 4, "alpha", worse(gate("alpha = 0.0")), True),
    ("groups have one value", 0, "nothing can be proven", worse(gate('group_by = "all"')), True),
    ("groups have four values", 0, "nothing can be proven", worse(gate('group_by = "quarter"')), True),
    ("groups are made by a tag that no case has", 4, "site", worse(gate('group_by = "site"')), True),
    (
        "groups are made by an option since the baseline",
        0,
        relaxed("group_by"),
        worse(options=["--segqa-group-by=camera"]),
        True,
    ),
    ("groups have two values and a case breaks", 1, "broken:0", collapsed(gate('group_by = "camera"')), True),
    (
        "a missing baseline is allowed in CI",
        0,
        "mine has no baseline, and gate.required = false",
        worse(delete(FILE), gate("required = false")),
        False,
    ),
    ("a table is misspelt", 4, "gates", worse(tables("[tool.segqa.gates]\nalpha = 0.05")), True),
    ("a key is misspelt", 4, "fail_no", worse(gate("fail_no = []")), True),
):
    RULES.add(_name, _code, _says, _attempt, slow=_slow)

ALL = "not id=C0_v0_00"


def remove_broken(trial: Trial) -> None:
    """Remove the broken case from the data set."""
    trial.remove(BROKEN)


for _name, _code, _says, _attempt, _slow in (
    ("nearly every case is known to fail", 1, relaxed("known failure"), worse(known(ALL)), False),
    ("every case is known to fail", 1, relaxed("known failure"), worse(known("target_area>0")), True),
    ("the broken case is known to fail", 0, "it is on its way", collapsed(known(f"id={BROKEN}")), True),
    ("a part of the cases is known to fail", 0, "it is on its way", collapsed(known("video=v1 or video=v2")), True),
    ("errors are hidden by a known failure of every case", 1, "errors:+0", erring(known(ALL)), True),
    (
        "every case is an error and known to fail",
        1,
        "errors:+0",
        worse(known(ALL), edit={"FAIL": tuple(range(24))}),
        True,
    ),
    ("the case that raises is known to fail", 1, "errors:+0", worse(known("video=v1"), edit={"FAIL": (5,)}), False),
    ("a missing case is known to fail", 1, "missing:0", worse(known("video=v1"), remove_broken, edit={}), True),
    ("until is more than a year away", 4, "until", collapsed(known(f"id={BROKEN}", until="2999-12-31")), True),
    ("until is past", 1, "broken:0", collapsed(known(f"id={BROKEN}", until="2020-01-01")), True),
    ("no reason is given", 4, "reason", collapsed(known(f"id={BROKEN}", reason="")), True),
    (
        "two entries mean every case together",
        1,
        relaxed("known failure"),
        worse(known("camera=C0"), known("camera=C1")),
        True,
    ),
):
    KNOWN.add(_name, _code, _says, _attempt, slow=_slow)
