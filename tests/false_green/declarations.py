"""A second declaration takes the place of the model that is meant."""

from __future__ import annotations

from tests.false_green.changes import append, put, worse
from tests.false_green.way import Ways

DECLARED = Ways("two declarations of one name")

_TWICE = "model 'mine' is declared twice, in "
_GOOD = """
import numpy as np
import segqa


class Good:
    def predict(self, images, prompts):
        return [segqa.Proposals.single(image[:, :, 0] > 100) for image in images]


@segqa.model{name}
def {function}():
    return Good()
"""
_AGAIN = _GOOD.format(name="", function="mine")

for _name, _change, _slow in (
    ("a conftest of the suites declares the model again", put("suites/conftest.py", _AGAIN), False),
    ("the file of the model declares it again", append("conftest.py", _AGAIN), True),
    (
        "another function of the file gives the model's name",
        append("conftest.py", _GOOD.format(name='(name="mine")', function="other")),
        True,
    ),
):
    DECLARED.add(_name, 4, _TWICE, worse(_change), slow=_slow)
