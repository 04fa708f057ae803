"""Run a model in actors of Ray, processes that each set it up as this session does."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from segqa.errors import EngineError, ModelError
from segqa.plugin.model_host import HostedModel, host

if TYPE_CHECKING:
    from segqa.inference.engine import RayEngine
    from segqa.models.protocol import Model
    from segqa.plugin.session import Session

_LINES = 12
_OF_MODELS = ("model-option", "checkpoint")
_OF_A_MODEL = ("device", "prompt", "dataset", "train-dataset", "name-pattern", "mask-cutoff")


@dataclass(frozen=True, slots=True)
class ModelFixture:
    """A model of the suites, set up by a pytest session of its own.

    Attributes:
        name: the name of the model.
        here: the folder that pytest was started in.
        arguments: the arguments of pytest that decide how a model is built.
    """

    name: str
    here: str
    arguments: tuple[str, ...]

    def hand_over(self, use: Callable[[Model], None]) -> None:
        """Set the model up, call a function with it, and tear it down.

        Raises:
            EngineError: the folder is not on this machine.
            ModelError: pytest could not set the model up; ends with its last lines.
        """
        try:
            os.chdir(self.here)
        except OSError as error:
            raise EngineError(f"{error}: the suites must be at the same path on every machine") from error
        said = io.StringIO()
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(said))
            stack.enter_context(contextlib.redirect_stderr(said))

            def take(hosted: HostedModel) -> None:
                # do not keep what a model prints in a long run
                stack.close()
                use(hosted.model)

            code = host(self.name, take, self.arguments)
        if code:
            raise ModelError(f"pytest ended with {code}: {_get_last_lines(said.getvalue())}")


def create_engine(session: Session, config: pytest.Config, model: str) -> RayEngine | None:
    """Return an engine with Ray if the session uses it; None if this process calls the model."""
    if session.settings.engine == "local":
        return None
    from segqa.inference.engine import RayEngine

    supply = ModelFixture(model, str(session.start_folder), tuple(_list_arguments(session, config)))
    return RayEngine(session.settings.ray, supply)


def _list_arguments(session: Session, config: pytest.Config) -> Iterator[str]:
    """Yield the arguments that make another session find the same models and build them in the same way."""
    yield f"--rootdir={config.rootpath}"
    if config.inipath is not None:
        yield f"--config-file={config.inipath}"
    yield from (str(session.start_folder / path.partition("::")[0]) for path in config.args)
    options = session.options
    yield from (f"--segqa-{name}={value}" for name in _OF_MODELS for value in options.get(name, ()))
    yield from (f"--segqa-{name}={options[name]}" for name in _OF_A_MODEL if name in options)


def _get_last_lines(text: str) -> str:
    """Return the last lines of an output, without the rules of pytest's terminal."""
    lines = [line.strip(" =_!") for line in text.splitlines()]
    return "\n".join([line for line in lines if line][-_LINES:])
