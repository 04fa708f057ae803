"""The options and the markers. What the installed plugin adds starts with `--segqa-`; short forms are a conftest's."""

from __future__ import annotations

from typing import Any

import pytest

SHORT = ("model", "dataset", "prompt", "pick", "limit", "list-models")
"""The options that have a short form."""

MARKERS = (
    "segqa_slice(name, where, min_cases=8): evaluation and clusters are those of a slice; too few cases are a skip",
    "segqa_behaviour(kind, capability): MFT, INV or DIR, and of what; passed and failed are counted in a table",
)
"""What `pytest --markers` says."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"action": "append", "metavar": "NAME[,NAME]", "help": "model fixtures to evaluate; 'all' for every one"},
    "dataset": {"metavar": "NAME|DIR", "help": "a declared data set, or a folder with images/ and masks/"},
    "dataset-name": {"metavar": "NAME", "help": "what the data set is called in reports and baselines (its folder)"},
    "train-dataset": {"metavar": "NAME|DIR", "help": "what the models were trained on; none of it must be evaluated"},
    "prompt": {"metavar": "TEXT", "help": "what to segment, for cases without a prompt of their own (person.)"},
    "pick": {"metavar": "NAME", "help": "the picker: agreement, product, mask_score, box_score, first, …"},
    "limit": {"metavar": "N", "type": int, "help": "only the first N cases of a seeded shuffle"},
    "list-models": {"action": "store_true", "help": "list the model fixtures and exit"},
    "model-option": {
        "action": "append",
        "metavar": "NAME.KEY=VALUE",
        "help": "what a model is built with, in place of [tool.segqa.models.NAME] KEY",
    },
    "device": {"metavar": "NAME", "help": "what the learned models run on: auto, cpu, cuda, cuda:1, … (auto)"},
    "checkpoint": {
        "action": "append",
        "metavar": "[NAME=]DIR",
        "help": "the weights of the model NAME, or of every model that takes a checkpoint",
    },
    "held-out": {"action": "store_true", "help": "only the cases that `segqa train` keeps out of training"},
    "where": {"metavar": "CONDITION", "help": "only the cases that it means: 'camera=C2 and brightness=dark'"},
    "shard": {"metavar": "I/N", "help": "only the I-th of N parts of the cases; `segqa merge` makes the whole of them"},
    "run": {"metavar": "RUN", "help": "judge a finished run, by its id or its folder; no model is built or asked"},
    "batch-size": {"metavar": "N|auto", "help": "images a predict call (8); auto: as many as are worth it on a GPU"},
    "engine": {"choices": ["local", "ray"], "help": "where the model is asked: here, or by actors of Ray (local)"},
    "name-pattern": {"metavar": "REGEX", "help": "named groups in it become tags of the file names it is found in"},
    "mask-cutoff": {"metavar": "GREY", "type": int, "help": "object is where a mask file is above it (127)"},
    "robustness-cases": {"metavar": "N", "type": int, "help": "change so many cases to see how robust a model is (50)"},
    "empty": {"choices": ["one", "zero", "nan"], "help": "what a score is where both masks are empty (one)"},
    "baseline": {"metavar": "DIR", "help": "the folder of the baselines (baselines)"},
    "update-baseline": {"action": "store_true", "help": "write the runs as baselines, if they lose nothing"},
    "accept": {"metavar": "REASON", "help": "write them even if they do; the reason is kept"},
    "allow-dirty": {"action": "store_true", "help": "write them even from a work tree with changes"},
    "require-baseline": {"action": "store_true", "help": "a missing baseline fails (as it does where CI is set)"},
    "fail-on": {"action": "append", "metavar": "RULE", "help": "what counts as a regression: mean_iou:-0.01, …"},
    "group-by": {"metavar": "TAG", "help": "all cases that share its value count as one independent sample"},
    "markdown": {"metavar": "FILE", "help": "append the verdict as Markdown, such as $GITHUB_STEP_SUMMARY"},
    "openmetrics": {"metavar": "FILE", "help": "write the numbers as OpenMetrics, such as GitLab's metrics report"},
    "no-cache": {"action": "store_true", "help": "neither use proposals kept earlier nor keep these for later runs"},
    "refresh-cache": {"action": "store_true", "help": "do not use proposals kept earlier, but keep these"},
    "rescore": {"action": "store_true", "help": "score stored proposals again; the model is neither built nor asked"},
    "spot-check": {
        "metavar": "N",
        "type": int,
        "help": "ask the model anew for N of the stored cases (3 where CI is set and the fingerprint is hand-written)",
    },
    "spot-check-iou": {
        "metavar": "IOU",
        "type": float,
        "help": "what stored and new prediction must have with each other (0.98)",
    },
    "max-cache-mb": {"metavar": "MB", "type": int, "help": "proposals kept; the longest unused go first (10000)"},
    "cache-dir": {"metavar": "DIR", "help": "where runs and proposals are kept (.segqa)"},
    "report": {"metavar": "DIR", "help": "where the reports go (reports)"},
    "report-images": {"metavar": "N|none", "help": "pictures of so many cases (200); none: no photos, masks on grey"},
    "report-image-size": {"metavar": "PIXELS", "type": int, "help": "a picture's longer side in the page (512)"},
    "report-max-mb": {"metavar": "MB", "type": float, "help": "how large the review page may be (25)"},
    "report-format": {
        "choices": ["html", "dir", "json"],
        "help": "html: one file; dir: for servers that forbid scripts; json: the numbers",
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the long options."""
    group = parser.getgroup("segqa", "segmentation models (segqa)")
    for name, settings in _OPTIONS.items():
        group.addoption(f"--segqa-{name}", dest=_dest(name), **settings)


def add_short_options(parser: pytest.Parser) -> None:
    """Add `--model`, `--dataset`, `--prompt`, `--pick`, `--limit` and `--list-models`, for the root `conftest.py`.

    Not done by the plugin itself: two installed plugins that both add `--model` would end every pytest run.
    """
    group = parser.getgroup("segqa")
    for name in SHORT:
        group.addoption(f"--{name}", dest=_dest(name), **_OPTIONS[name])


def given(config: pytest.Config) -> dict[str, Any]:
    """The options that the user gave, by name (`{"pick": "product"}`)."""
    values = {name: config.getoption(_dest(name)) for name in _OPTIONS}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def _dest(name: str) -> str:
    return f"segqa_{name.replace('-', '_')}"
