"""The short options (`--model` for `--segqa-model`, …) and where models and data sets are declared."""

from pathlib import Path

import pytest

from segqa.plugin.decorators import load_fixtures
from segqa.plugin.options import add_short_options

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the short forms (a conftest may, an installed plugin must not), and load models and data sets."""
    add_short_options(parser)
    load_fixtures(pluginmanager, FIXTURES / "models.py", FIXTURES / "data.py")
