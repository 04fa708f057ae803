"""Show progress although pytest captures the output: a bar on a terminal, a line every 10 s in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from segqa.inference.evaluator import Progress, ProgressBar
from segqa.plugin.xdist_messages import is_worker
from segqa.support.plurals import format_count

T = TypeVar("T")


def create_progress(config: pytest.Config, model: str) -> Progress:
    """Return the progress display of an evaluation; it shows nothing with `-q`, `-p no:terminal`, or in a worker."""
    if is_worker(config) or config.get_verbosity() < 0 or not config.pluginmanager.has_plugin("terminalreporter"):
        return lambda _done, _total: None
    terminal = TerminalProgress(config)
    return ProgressBar(model, file=terminal, leave=False) if terminal.isatty() else LogProgress(terminal.write, model)


class RecordedProgress:
    """Progress that records how far it has come."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self.done = self.total = 0

    def __call__(self, done: int, total: int) -> None:
        """Record the progress and show it."""
        self.done, self.total = done, total
        self._shown(done, total)


class LogProgress:
    """Progress as a line every 10 seconds, for a log."""

    def __init__(self, write: Callable[[str], None], model: str, every: float = 10.0) -> None:
        self._write, self._model, self._every = write, model, every
        self._started = self._shown = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Write a line if the last one is old enough."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._started, self._shown = done, now, now
        elif now - self._shown >= self._every and done < total:
            self._shown = now
            pace = (done - self._first) / (now - self._started)
            left = (total - done) / pace
            self._write(
                f"\n{self._model}: {done} of {format_count(total, 'case')}, {pace:.1f} cases/s, {left:.0f} s left\n"
            )


class TerminalProgress:
    """The user's terminal as a file for tqdm; pytest's capture is suspended while it writes."""

    encoding = "utf-8"

    def __init__(self, config: pytest.Config) -> None:
        self._writer = config.get_terminal_writer()
        self._capture = config.pluginmanager.getplugin("capturemanager")

    def isatty(self) -> bool:
        """Return whether this is a terminal and not a file."""
        return self._uncaptured(lambda: sys.__stdout__ is not None and sys.__stdout__.isatty())

    def write(self, text: str) -> None:
        """Write a text and flush."""
        self._uncaptured(lambda: self._writer.write(text, flush=True))

    def flush(self) -> None:
        """Do nothing: `write` flushes."""

    def _uncaptured(self, act: Callable[[], T]) -> T:
        if self._capture is None:
            return act()
        with self._capture.global_and_fixture_disabled():
            return act()
