"""Progress on the terminal although pytest captures all output: a bar for a person, a line every 10 s for a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from segqa.evaluation.evaluation import Bar, Progress
from segqa.plugin.session import is_worker

if TYPE_CHECKING:  # pytest exports it nowhere else
    from _pytest._io import TerminalWriter


def progress_for(config: pytest.Config, model: str) -> Progress:
    """How to show an evaluation's progress here: not at all with `-q` or in a worker, which has no terminal."""
    if is_worker(config) or config.get_verbosity() < 0:
        return lambda _done, _total: None
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if getattr(reporter, "isatty", False):
        return Bar(model, file=_Terminal(config.get_terminal_writer()), leave=False, dynamic_ncols=True)
    return Lines(config.get_terminal_writer(), model)


class Lines:
    """Progress as a line at the start of a resumed run, and then one every 10 seconds."""

    def __init__(self, writer: TerminalWriter, model: str, every: float = 10.0) -> None:
        self._writer, self._model, self._every = writer, model, every
        self._started = self._shown = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._started, self._shown = done, now, now
        elif now - self._shown >= self._every and done < total:
            self._shown = now
            pace = (done - self._first) / (now - self._started)
            left = (total - done) / pace
            self._writer.line(f"\n{self._model}: {done} of {total} cases, {pace:.1f} cases/s, {left:.0f} s left")


class _Terminal:
    """The terminal as the file that tqdm wants; pytest's writer goes past the capturing."""

    def __init__(self, writer: TerminalWriter) -> None:
        self._writer = writer

    def write(self, text: str) -> None:
        """Write, and show at once."""
        self._writer.write(text, flush=True)

    def flush(self) -> None:
        """Nothing waits: `write` has shown all."""
