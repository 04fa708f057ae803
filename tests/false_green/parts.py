"""A part of the cases is judged, or they are scored in another way."""

from __future__ import annotations

from tests.false_green.changes import declare_data, replace, setting, worse
from tests.false_green.models import write_by_hand
from tests.false_green.rules import rules
from tests.false_green.trial import COLLAPSED, SHRUNK, name_case
from tests.false_green.way import Ways

PART = Ways("a part of the cases")
SCORING = Ways("another way of scoring")

_GOOD = name_case(0)

for _name, _code, _says, _options, _slow in (
    ("a condition leaves the broken case out", 0, "--segqa-where", ["--segqa-where=camera=C0"], False),
    ("a condition means one good case", 0, "--segqa-where", [f"--segqa-where=id={_GOOD}"], True),
    (
        "a condition means no case",
        4,
        "none of the 24 cases of squares is meant",
        ["--segqa-where=target_area>0.99"],
        True,
    ),
    ("an option limits the cases", 0, "--segqa-limit", ["--limit=3"], True),
    ("an option limits the cases to none", 4, "limit", ["--limit=0"], True),
    ("only the held-out cases are evaluated", 1, "no baseline", ["--segqa-held-out"], True),
):
    PART.add(_name, _code, _says, worse(edit=COLLAPSED, options=_options), slow=_slow)

PART.add("the settings limit the cases to a few", 4, "at least half", worse(setting("limit = 3"), edit=COLLAPSED))
PART.add("the settings limit the cases to most", 1, "missing:0", worse(setting("limit = 20"), edit=COLLAPSED))
for _shard in ("1/1", "1/4"):
    PART.add(
        f"the shard {_shard} is evaluated", 0, "not judged", worse(write_by_hand, options=[f"--segqa-shard={_shard}"])
    )
for _limit, _code, _says in ((20, 1, "missing:0"), (4, 4, "at least half")):
    PART.add(
        f"a declared data set is limited to {_limit} cases",
        _code,
        _says,
        worse(declare_data(f"return segqa.open_folder('squares').limit({_limit})"), edit=COLLAPSED),
    )

for _name, _code, _says, _attempt in (
    ("another picker is named", 4, "picker", worse(options=["--pick=first"])),
    ("another policy for empty masks is named", 4, "empty policy", worse(options=["--segqa-empty=zero"])),
    ("the settings name another policy for empty masks", 4, "empty policy", worse(setting('empty = "nan"'))),
    ("another prompt is named", 4, "prompt", worse(options=["--prompt=square."])),
    ("another cutoff finds the same masks", 1, "mine: regressed", worse(options=["--segqa-mask-cutoff=254"])),
    (
        "a cutoff that nothing is above empties every mask",
        4,
        "mask-cutoff must be a whole number from 0 to 254",
        worse(options=["--segqa-mask-cutoff=255"]),
    ),
):
    SCORING.add(_name, _code, _says, _attempt)

SCORING.add(
    "the tags are gone and with them the slices that dropped",
    0,
    "no case has the tags camera, video any more",
    worse(replace("pyproject.toml", ("name_pattern", "# name_pattern")), rules("mean_iou:-0.5"), edit=SHRUNK),
)
