"""The options and markers of the plugin. Options start with `--segqa-`; a conftest may add short forms.

Every pytest run of an environment with segqa imports this module. It must not import `segqa.settings`, whose
dataclasses take several milliseconds to make, so `tools/write_tables.py` writes the options of the settings here.
"""

from __future__ import annotations

from typing import Any

import pytest

SHORT = ("model", "dataset", "prompt", "pick", "limit", "list-models")
"""The options that have a short form."""

MARKERS = (
    "segqa_slice(name, where, min_cases=8): evaluation and clusters are those of a slice; too few cases are a skip",
    "segqa_behaviour(kind, capability): MFT, INV or DIR, and of what; passed and failed are counted in a table",
)
"""The text of `pytest --markers`."""

# begin table options
SETTING_OPTIONS: dict[str, dict[str, Any]] = {
    "mask-cutoff": {
        "metavar": "GREY",
        "type": int,
        "help": "Pixels of a mask file above this grey value are the object",
    },
    "model": {
        "action": "append",
        "metavar": "NAME[,NAME]",
        "help": "Model fixtures to evaluate; `all` for every one",
    },
    "dataset": {
        "metavar": "NAME|DIR",
        "help": "A data set declared with `@segqa.dataset`, or a folder with images/ and masks/ (default: studio)",
    },
    "dataset-name": {
        "metavar": "NAME",
        "help": "Name of the data set in reports and in the path of its baseline",
    },
    "train-dataset": {
        "metavar": "NAME|DIR",
        "help": "Data set that the models were trained on; no case of it may be evaluated",
    },
    "prompt": {
        "metavar": "TEXT",
        "help": "What to segment, for cases without a prompt of their own (default: person.)",
    },
    "pick": {
        "metavar": "NAME",
        "help": "Picker: agreement, product, mask_score, box_score, first or sequential_agreement (default: agreement)",
    },
    "limit": {
        "metavar": "N",
        "type": int,
        "help": "Evaluate only the first N cases of a seeded shuffle",
    },
    "empty": {
        "choices": ["one", "zero", "nan"],
        "help": "Score of a case whose target and prediction are both empty (default: one)",
    },
    "name-pattern": {
        "metavar": "REGEX",
        "help": "Regular expression that is searched in file names; its named groups become tags",
    },
    "batch-size": {
        "metavar": "N|auto",
        "help": "Images per `predict` call; `auto` doubles it on a GPU as long as that is faster (default: 8)",
    },
    "max-cache-mb": {
        "metavar": "MB",
        "type": int,
        "help": "Megabytes of proposals to keep for later runs; the least recently used go first (default: 10000)",
    },
    "spot-check": {
        "metavar": "N",
        "type": int,
        "help": "Number of stored cases for which the model is called again, to compare the predictions",
    },
    "spot-check-iou": {
        "metavar": "IOU",
        "type": float,
        "help": "Minimum IoU between the stored and the new prediction in a spot check (default: 0.98)",
    },
    "engine": {
        "choices": ["local", "ray"],
        "help": "Where the model runs: `local`, in this process; `ray`, in actors of Ray (default: local)",
    },
    "baseline": {
        "metavar": "DIR",
        "help": "Folder of the baselines (default: baselines)",
    },
    "fail-on": {
        "action": "append",
        "metavar": "RULE",
        "help": "Rules that define a regression, such as `mean_iou:-0.01`",
    },
    "group-by": {
        "metavar": "TAG",
        "help": "Tag, such as `video`, whose cases with the same value count as one independent sample",
    },
    "require-baseline": {
        "action": "store_true",
        "help": "Fail where a baseline is missing, as where `CI` is set",
    },
    "robustness-cases": {
        "metavar": "N",
        "type": int,
        "help": "Maximum number of cases that the robustness suite perturbs; 0 skips the suite (default: 50)",
    },
    "report-images": {
        "metavar": "N|none",
        "help": "Maximum number of cases per run with images; `none`: masks on grey, no input images (default: 200)",
    },
    "report-image-size": {
        "metavar": "PIXELS",
        "type": int,
        "help": "Maximum length of the longer side of an image on the page (default: 512)",
    },
    "report-max-mb": {
        "metavar": "MB",
        "type": float,
        "help": "Maximum size of the review page in megabytes (10^6 bytes) (default: 25)",
    },
    "report-format": {
        "choices": ["html", "dir", "json"],
        "help": "Write the page as one `html` file, a `dir` for servers that forbid scripts, or `json` (default: html)",
    },
}
# end table; written by tools/write_tables.py from the declarations in `segqa.settings`
"""The options of settings, with their arguments for argparse."""

OPTIONS = SETTING_OPTIONS | {
    "list-models": {"action": "store_true", "help": "List the model fixtures and exit"},
    "model-option": {
        "action": "append",
        "metavar": "NAME.KEY=VALUE",
        "help": "Option of the model fixture NAME; overrides KEY of [tool.segqa.models.NAME]",
    },
    "device": {"metavar": "NAME", "help": "Device for the learned models: auto, cpu, cuda, cuda:1, … (default: auto)"},
    "checkpoint": {
        "action": "append",
        "metavar": "[NAME=]DIR",
        "help": "Weights of the model NAME, or of every model that takes a checkpoint",
    },
    "held-out": {"action": "store_true", "help": "Evaluate only the cases that `segqa train` keeps out of training"},
    "where": {"metavar": "CONDITION", "help": "Evaluate only matching cases: 'camera=C2 and brightness=dark'"},
    "shard": {"metavar": "I/N", "help": "Evaluate only the I-th of N parts of the cases; `segqa merge` joins the runs"},
    "run": {"metavar": "RUN", "help": "Test a finished run, by its id or folder, without calling a model"},
    "update-baseline": {"action": "store_true", "help": "Write the runs as baselines unless they regressed"},
    "accept": {"metavar": "REASON", "help": "Write the baselines even if the runs regressed; the reason is kept"},
    "allow-dirty": {"action": "store_true", "help": "Write the baselines even if the work tree has changes"},
    "markdown": {"metavar": "FILE", "help": "Append the verdict as Markdown, for example to $GITHUB_STEP_SUMMARY"},
    "openmetrics": {
        "metavar": "FILE",
        "help": "Write the numbers as OpenMetrics, such as GitLab's metrics report",
    },
    "no-cache": {"action": "store_true", "help": "Neither use stored proposals nor store new ones"},
    "refresh-cache": {"action": "store_true", "help": "Store new proposals without using the stored ones"},
    "rescore": {"action": "store_true", "help": "Score stored proposals again, without building or calling a model"},
    "cache-dir": {"metavar": "DIR", "help": "Folder of runs and proposals (default: .segqa)"},
    "report": {"metavar": "DIR", "help": "Folder of the reports (default: reports)"},
}
"""Every option, by its name without `--segqa-`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the long options."""
    group = parser.getgroup("segqa", "segmentation models (segqa)")
    for name, attributes in OPTIONS.items():
        group.addoption(f"--segqa-{name}", dest=_to_dest(name), **attributes)


def add_short_options(parser: pytest.Parser) -> None:
    """Add `--model`, `--dataset`, `--prompt`, `--pick`, `--limit` and `--list-models`, for the root `conftest.py`.

    Not done by the plugin itself: two installed plugins that both add `--model` would end every pytest run.
    """
    group = parser.getgroup("segqa")
    for name in SHORT:
        group.addoption(f"--{name}", dest=_to_dest(name), **OPTIONS[name])


def read_options(config: pytest.Config) -> dict[str, Any]:
    """Return the options on the command line, by name (`{"pick": "product"}`)."""
    values = {name: config.getoption(_to_dest(name)) for name in OPTIONS}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def _to_dest(name: str) -> str:
    return f"segqa_{name.replace('-', '_')}"
