import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import segqa
from segqa import plugin


def test_every_name_of_the_door_opens_on_what_it_says() -> None:
    # importing a module of the same name would put the module in a function's place
    for module in pkgutil.walk_packages(segqa.__path__, "segqa."):
        assert module.name.removeprefix("segqa.") not in segqa.__all__
    for name in segqa.__all__:
        assert getattr(segqa, name).__name__ == name


def test_types_and_names_of_the_door_agree() -> None:
    tree = ast.parse(Path(segqa.__file__).read_text(encoding="utf-8"))
    typed = {
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    homes = {(home, name) for home, names in segqa._HOMES.items() for name in names}
    assert {pair for pair in typed if (pair[0] or "").startswith("segqa.")} == homes
    assert segqa.__all__ == sorted(name for _, name in homes)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'modle'"):
        _ = segqa.modle


@pytest.mark.parametrize("module", ["segqa", "segqa.plugin"])
def test_importing_costs_nothing(module: str) -> None:
    heavy = {"numpy", "cv2", "torch", "scipy", "PIL", "jinja2", "tqdm", "filelock", "sqlite3"}
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {heavy!r}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.split() == []


def test_no_module_of_the_plugin_takes_the_place_of_a_fixture() -> None:
    modules = {path.stem for path in Path(plugin.__file__).parent.glob("*.py")}
    assert len(modules) > 20
    assert modules.isdisjoint(plugin.__all__), "importing it would overwrite the attribute of the package"
