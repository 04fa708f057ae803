"""The short options (`--model` for `--segqa-model`, …) and where models and data sets are declared."""

import pytest

from segqa.plugin.options import add_short_options

pytest_plugins = ["fixtures.models", "fixtures.data"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the short forms: a conftest may, an installed plugin must not."""
    add_short_options(parser)
