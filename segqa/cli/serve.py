"""Command `segqa serve`: serve a model of the suites over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segqa.cli.runs import refusal
from segqa.data.storage import expand_home
from segqa.errors import SegqaError

if TYPE_CHECKING:
    import socket

    from segqa.plugin.model_host import HostedModel
    from segqa.serving.limits import Limits

_LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(
    model: Annotated[str, typer.Option(metavar="NAME", help="The model, as `pytest suites --model` names it.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="-- PYTEST…", help="For pytest.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    token_env: Annotated[str, typer.Option(metavar="NAME", help="The variable that holds the token.")] = "",
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file that holds the token.", parser=expand_home)
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name by which a server without a token may be asked.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a call; on a CPU it is one.")] = 8,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait.")] = 16,
    max_mb: Annotated[float, typer.Option(help="Megabytes of a body.")] = 20.0,
    max_megapixels: Annotated[float, typer.Option(help="Of all images of a request.")] = 50.0,
    max_images: Annotated[int, typer.Option(min=1, help="In a request.")] = 16,
    body_timeout: Annotated[float, typer.Option(help="Seconds for a body to arrive.")] = 30.0,
    predict_timeout: Annotated[float, typer.Option(help="Seconds for an answer, waiting included.")] = 60.0,
) -> None:
    """Serve a model: POST /predict, GET /health, /model, /metrics and /docs."""
    try:
        from segqa.plugin.model_host import host as host_model
        from segqa.serving.access import read_token
        from segqa.serving.limits import Limits
        from segqa.serving.server import bind
    except ModuleNotFoundError as error:
        raise refusal(f"serving needs {error.name}: pip install 'segqa[serve]'") from error
    try:
        limits = Limits(
            body_bytes=round(max_mb * 1e6),
            pixels=round(max_megapixels * 1e6),
            images=max_images,
            queue=queue,
            body_seconds=body_timeout,
            predict_seconds=predict_timeout,
        )
        token = read_token(token_env, token_file)
        sock = bind(host, port)
    except SegqaError as error:
        raise refusal(str(error)) from error
    if host not in _LOCAL and not token:
        typer.echo("segqa: no --token-env and no --token-file: whoever reaches this port can use it", err=True)
    access = {"token": token, "hosts": (host, *(allow_host or ()))}
    with sock:
        code = host_model(model, lambda hosted: _serve(hosted, sock, limits, access, batch_size), arguments or [])
    raise typer.Exit(code)


def _serve(hosted: HostedModel, sock: socket.socket, limits: Limits, access: dict[str, Any], batch_size: int) -> None:
    """Serve requests until stopped."""
    from segqa.serving.model_info import describe_model
    from segqa.serving.queue import ModelThread, choose_batch_size
    from segqa.serving.server import make_server, run_server

    size = choose_batch_size(batch_size)
    settings = hosted.settings
    model_info = describe_model(
        hosted.name, hosted.model, pick=settings.pick, prompt=settings.prompt, batch_size=size, limits=limits
    )
    address, port = sock.getsockname()[:2]
    where = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    with ModelThread(hosted.model, size).run() as thread:
        say = f"segqa: {hosted.name} on {where} ({where}/docs says how); Ctrl-C stops it"
        run_server(sock, make_server(model_info, thread, **access, ready=lambda: typer.echo(say)))
