"""The pytest plugin: options, fixtures, verdicts and the HTML report. Inert where no test asks for segqa.

Every pytest run of an environment that has segqa installed imports this package, so whatever is heavy is imported by
the function that needs it.
"""

from segqa.plugin.assertions import pytest_assertrepr_compare
from segqa.plugin.calls import pytest_pyfunc_call
from segqa.plugin.ci import pytest_sessionfinish
from segqa.plugin.fixtures import (
    _segqa_dataset,
    _segqa_model,
    _segqa_model_name,
    _segqa_run,
    baseline_speed,
    clusters,
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
    speed,
    thresholds,
    whole_run,
)
from segqa.plugin.html import pytest_runtest_makereport
from segqa.plugin.options import pytest_addoption
from segqa.plugin.session import (
    pytest_cmdline_main,
    pytest_configure,
    pytest_configure_node,
    pytest_runtestloop,
    pytest_testnodedown,
    pytest_unconfigure,
)
from segqa.plugin.summary import (
    pytest_report_collectionfinish,
    pytest_runtest_call,
    pytest_terminal_summary,
)

__all__ = [
    "_segqa_dataset",
    "_segqa_model",
    "_segqa_model_name",
    "_segqa_run",
    "baseline_speed",
    "clusters",
    "dataset",
    "device",
    "evaluation",
    "gate",
    "model",
    "model_name",
    "model_options",
    "prompt",
    "pytest_addoption",
    "pytest_assertrepr_compare",
    "pytest_cmdline_main",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_pyfunc_call",
    "pytest_report_collectionfinish",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_unconfigure",
    "speed",
    "thresholds",
    "whole_run",
]
