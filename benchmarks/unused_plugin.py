"""What the plugin costs a pytest run that does not use it.

    python benchmarks/unused_plugin.py [--pairs 31]

A repository of 1,000 plain tests, run with the plugin and without, in turns, the first of a pair changing; the other
plugins of the environment are found and not loaded, which would only add noise. Medians of the pairs' differences, on
the clock and in seconds of the processor, which others on the machine disturb less. pytest-html comes with segqa, and
most who have it have others, too, so segqa is measured beside these as well. Then how many modules more are imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest

FILES, TESTS = 20, 50
HEAVY = frozenset({"numpy", "cv2", "scipy", "PIL", "jinja2", "torch"})
INSTALLED = [each.name for each in entry_points(group="pytest11")]
MODULES = """
import json, sys

def pytest_unconfigure(config):
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""
COMPARED = {
    "segqa": (["segqa"], []),
    "segqa, beside pytest-html": (
        ["html", "html_fixtures", "metadata", "segqa"],
        ["html", "html_fixtures", "metadata"],
    ),
    "segqa, beside all that is installed": (INSTALLED, [each for each in INSTALLED if each != "segqa"]),
}
"""Of what is measured the plugins with it, and those without."""

Seconds = tuple[float, float]
"""On the clock, and of the processor in user and system mode."""


def make_repository(folder: Path) -> None:
    """Plain tests, in some files."""
    for file in range(FILES):
        lines = [f"def test_{number}():\n    assert {number} < {TESTS}\n" for number in range(TESTS)]
        (folder / f"test_{file}.py").write_text("\n\n".join(lines), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")


def run(folder: Path, plugins: Sequence[str], options: Sequence[str] = ()) -> Seconds:
    """A run of all tests, with these of the installed plugins."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    # an installed package is compiled once
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    blocked = [f"-pno:{each}" for each in ("cacheprovider", *INSTALLED) if each not in plugins]
    command = [sys.executable, "-m", "pytest", "-q", *blocked, *options]
    finished = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, check=True, text=True)  # noqa: S603
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert str(FILES * TESTS) in finished.stdout.splitlines()[-1], finished.stdout
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def modules(folder: Path, plugins: Sequence[str]) -> set[str]:
    """What has been imported at the end of a run."""
    (folder / "told.py").write_text(MODULES, encoding="utf-8")
    run(folder, plugins, ["-p", "told"])
    return set(json.loads((folder / "modules.json").read_text(encoding="utf-8")))


def compare(folder: Path, ways: tuple[Sequence[str], Sequence[str]], options: Sequence[str], pairs: int) -> list[str]:
    """Seconds with it and without, then the median difference of the pairs, on the clock and of the processor."""
    taken: tuple[list[Seconds], list[Seconds]] = ([], [])
    for number in range(pairs):
        for place in (0, 1) if number % 2 else (1, 0):
            taken[place].append(run(folder, ways[place], options))
    clock = [median(seconds for seconds, _ in way) for way in taken]
    more = [median(a[kind] - b[kind] for a, b in zip(*taken, strict=True)) for kind in (0, 1)]
    return [f"{1e3 * value:.1f}" for value in (*clock, *more)]


def main(pairs: int) -> None:
    """Measure and print."""
    print(f"{platform.machine()}, Python {platform.python_version()}, pytest {pytest.__version__}, {pairs} pairs\n")
    print("| plugin | run | with, ms | without, ms | overhead, ms | of the processor, ms |\n|---|---|---|---|---|---|")
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_repository(folder)
        run(folder, [])
        for what, ways in COMPARED.items():
            for more in ([], ["--collect-only"]):
                told = compare(folder, ways, more, pairs)
                print(f"| {what} | {' '.join(more) or 'all tests'} | {' | '.join(told)} |", flush=True)
        print("\n| plugin | modules more | of segqa | heavy ones |\n|---|---|---|---|")
        for what, ways in COMPARED.items():
            found = modules(folder, ways[0]) - modules(folder, ways[1])
            ours = [module for module in found if module.partition(".")[0] == "segqa"]
            heavy = sorted(HEAVY & found)
            print(f"| {what} | {len(found)} | {len(ours)} | {', '.join(heavy) or 'none'} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=31)
    main(parser.parse_args().pairs)
