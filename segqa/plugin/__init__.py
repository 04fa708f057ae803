"""The pytest plugin: options, fixtures, verdicts and the HTML report. It does nothing in a session without segqa.

Every pytest run in an environment with segqa imports this package. So heavy modules are imported by the functions that
need them, and hooks that run for each test are registered only in a session that uses segqa
(`hooks.pytest_configure`).
"""

from segqa.plugin.fixtures import (
    _segqa_dataset,
    _segqa_model,
    _segqa_model_name,
    _segqa_run,
    audit,
    baseline_speed,
    clusters,
    data_thresholds,
    dataset,
    device,
    evaluation,
    gate,
    model,
    model_name,
    model_options,
    prompt,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    robustness,
    speed,
    thresholds,
    whole_run,
)
from segqa.plugin.hooks import (
    pytest_cmdline_main,
    pytest_configure,
    pytest_configure_node,
    pytest_runtestloop,
    pytest_testnodedown,
    pytest_unconfigure,
)
from segqa.plugin.options import pytest_addoption

pytest_plugins = ("segqa.plugin.refuse_exit_zero",)

__all__ = [
    "_segqa_dataset",
    "_segqa_model",
    "_segqa_model_name",
    "_segqa_run",
    "audit",
    "baseline_speed",
    "clusters",
    "data_thresholds",
    "dataset",
    "device",
    "evaluation",
    "gate",
    "model",
    "model_name",
    "model_options",
    "prompt",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_runtestloop",
    "pytest_testnodedown",
    "pytest_unconfigure",
    "robustness",
    "speed",
    "thresholds",
    "whole_run",
]
