"""Command `segqa init`: copy `conftest.py`, `fixtures/` and `suites/` into a repository as a starting point."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from segqa.data.storage import expand_home

PARTS = ("conftest.py", "fixtures", "suites")
_PYTEST_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")

_PYTEST = """
[tool.pytest.ini_options]
testpaths = ["suites"]              # with this table the folder is pytest's rootdir, whatever lies above it
"""

_PYPROJECT = """
[tool.segqa]
model = "hog_grabcut"
dataset = "studio"

[tool.segqa.thresholds]
mean_iou = 0.5
near_duplicates = 0.6               # frames of studio's fixed cameras look alike; 0 for photos

[tool.segqa.thresholds.hog_grabcut]
wrong_object = 0.16
slice_drop = 0.38
regret = 0.09

[tool.segqa.gate]
# required = true                   # for CI that sets no variable of a CI system, as in `docker run` and tox

[tool.segqa.robustness.hog_grabcut]
cases = 0                           # it takes a third of a second for an image, and there would be 1,800
"""

# keep git from merging baselines line by line: the result would mix two runs
_ATTRIBUTES = ("baselines/**/*.jsonl -merge",)
# outputs of every run; baselines/ must be committed
_IGNORED = (".segqa/", "reports/")


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The repository; made if it is not there.", parser=expand_home)
    ] = Path(),
) -> None:
    """Copy the suites and the fixtures to start from. What is already there is left as it is."""
    for source, name in _files():
        target = folder / name
        if target.exists():
            is_other = name.name == "conftest.py" and target.read_bytes() != source.read_bytes()
            typer.echo(
                f"kept     {target}" + (f"; add to it:\n\n{source.read_text(encoding='utf-8')}" if is_other else "")
            )
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        typer.echo(f"made     {target}")
    _settings(folder / "pyproject.toml")
    _append_missing(folder / ".gitattributes", _ATTRIBUTES)
    _append_missing(folder / ".gitignore", _IGNORED)
    typer.echo("\nNow: pytest suites")


def _files() -> list[tuple[Path, Path]]:
    """Return the files to copy, each as source and relative target."""
    package = Path(__file__).parents[1]
    # inside the package in a wheel, beside it in a work tree
    root = package / "starter" if (package / "starter").is_dir() else package.parent
    paths = [path for part in PARTS for path in sorted([root / part, *(root / part).rglob("*.py")]) if path.is_file()]
    return [(path, path.relative_to(root)) for path in paths]


def _append_missing(path: Path, lines: Iterable[str]) -> None:
    """Append missing lines to a git file; its existing bytes are kept.

    Slashes at either end of a line are ignored in the comparison; git reads them as a narrower or wider pattern.
    """
    text = path.read_bytes() if path.exists() else b""
    present = {line.strip().strip(b"/") for line in text.splitlines()}
    missing = [line for line in lines if line.strip("/").encode() not in present]
    if not missing:
        typer.echo(f"kept     {path}")
        return
    start = b"\n" if text and not text.endswith(b"\n") else b""
    with path.open("ab") as file:
        file.write(start + "".join(f"{line}\n" for line in missing).encode())
    typer.echo(f"{'added to' if text else 'made    '} {path}: {', '.join(missing)}")


def _settings(path: Path) -> None:
    """Write the settings if there is no settings file, otherwise print the lines to add."""
    wanted = _PYPROJECT if _configures_pytest(path.parent) else _PYTEST + _PYPROJECT
    if not path.exists():
        path.write_text(wanted.lstrip(), encoding="utf-8")
        typer.echo(f"made     {path}")
    elif "[tool.segqa]" in path.read_text(encoding="utf-8"):
        typer.echo(f"kept     {path}")
    else:
        typer.echo(f"kept     {path}; add to it:\n{wanted}")


def _configures_pytest(folder: Path) -> bool:
    """Return whether a folder has a pytest configuration, which makes it the rootdir."""
    if any((folder / name).exists() for name in _PYTEST_FILES):
        return True
    tables = {"pyproject.toml": "[tool.pytest", "tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"}
    paths = ((folder / name, table) for name, table in tables.items())
    return any(path.is_file() and table in path.read_text(encoding="utf-8") for path, table in paths)
