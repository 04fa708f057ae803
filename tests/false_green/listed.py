"""All ways, category by category."""

from __future__ import annotations

from itertools import chain

from tests.false_green.baselines import BASELINE
from tests.false_green.computed_fingerprints import COMPUTED
from tests.false_green.data import DATA
from tests.false_green.declarations import DECLARED
from tests.false_green.environment import ENVIRONMENT
from tests.false_green.groups import GROUPS
from tests.false_green.hand_fingerprints import HAND
from tests.false_green.parts import PART, SCORING
from tests.false_green.rules import KNOWN, RULES
from tests.false_green.selection import SELECTION
from tests.false_green.settings_files import READING
from tests.false_green.skipped_models import ERRORS, SKIPPED
from tests.false_green.stores import SHARDS, STORE
from tests.false_green.unasserted import UNASSERTED
from tests.false_green.undefined import UNDEFINED
from tests.false_green.updates import UPDATE
from tests.false_green.way import Way

_MODEL = (HAND, COMPUTED, DECLARED, SKIPPED, ERRORS)
_VERDICT = (SELECTION, UNASSERTED, ENVIRONMENT, UNDEFINED, GROUPS)
_BASELINE = (BASELINE, UPDATE)
_SETTINGS = (RULES, KNOWN, PART, SCORING, READING)
_DATA = (DATA, STORE, SHARDS)

WAYS: list[Way] = list(chain(*_MODEL, *_VERDICT, *_BASELINE, *_SETTINGS, *_DATA))
