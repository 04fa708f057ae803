"""The FastAPI application: its routes, parameters and error handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from segqa.models.pickers import PICKERS, Picker, find_picker
from segqa.models.protocol import Proposals
from segqa.serving.access import AccessMiddleware
from segqa.serving.admission import Admission
from segqa.serving.errors import ErrorDetail, RequestError
from segqa.serving.limits import Limits
from segqa.serving.model_info import ModelInfo
from segqa.serving.prometheus import CountingMiddleware, PrometheusMetrics
from segqa.serving.queue import ModelThread
from segqa.serving.responses import PredictResponse, make_predictions, render_png
from segqa.serving.uploads import read_uploads, run_while_connected
from segqa.settings.checks import nearest

_JSON, _PNG = "application/json", "image/png"
_ACCEPT_JSON = f"accept {_JSON}"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"image": {"type": "array", "items": _BINARY["schema"]}}}}
_TYPES = ("image/png", "image/jpeg", "image/bmp", "image/tiff", "image/webp", "application/octet-stream")
_BODY = {"content": {**dict.fromkeys(_TYPES, _BINARY), "multipart/form-data": _FORM}, "required": True}
_REFUSED = (400, 401, 406, 408, 413, 415, 421, 422, 500, 503, 504)

Prompt = Annotated[str | None, Query(description="What to segment, such as `person.`")]
Pick = Annotated[str | None, Query(description="Which proposal to take", json_schema_extra={"enum": list(PICKERS)})]
Everything = Annotated[bool, Query(description="Return all proposals as well, with their scores and masks")]


class Service:
    """The endpoints.

    Args:
        model_info: describes the model.
        admission: takes the requests for predictions.
        metrics: counts the requests.
    """

    def __init__(self, model_info: ModelInfo, admission: Admission, metrics: PrometheusMetrics) -> None:
        self._model_info = model_info
        self._admission = admission
        self._metrics = metrics

    async def predict(
        self, request: Request, prompt: Prompt = None, pick: Pick = None, proposals: Everything = False
    ) -> Response:
        """Return the picked mask of an image as PNG, or the masks of one or more images as run lengths in JSON."""
        _require_known_parameters(request)
        wants_png = _is_png_requested(request.headers.get("accept", ""))
        picker = find_picker(_require_picker(self._model_info.pick if pick is None else pick))
        prompt = _require_prompt(self._model_info.prompt if prompt is None else prompt, self._model_info.limits)
        async with self._admission.receive_body() as slot:
            files = await read_uploads(request, self._model_info.limits, slot)
        if wants_png and len(files) != 1:
            raise RequestError(
                HTTPStatus.NOT_ACCEPTABLE, "one image where a PNG is asked for", f"{len(files)} images", _ACCEPT_JSON
            )

        def render(found: list[Proposals]) -> Response:
            return (
                _render_png(found[0], picker) if wants_png else self._render_json(found, picker, everything=proposals)
            )

        return await run_while_connected(request, self._admission.ask(files, prompt, render))

    async def health(self) -> Response:
        """Return whether the model responds."""
        if self._admission.is_stuck:
            return JSONResponse({"status": "stuck"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ok"})

    async def model(self) -> Response:
        """Return the name, the settings and the limits of the model."""
        return JSONResponse(asdict(self._model_info))

    async def metrics(self) -> Response:
        """Return the metrics in the text format of Prometheus."""
        text = await asyncio.to_thread(self._metrics.render)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _render_json(self, found: list[Proposals], picker: Picker, *, everything: bool) -> Response:
        said = make_predictions(found, picker, everything=everything)
        return Response(
            PredictResponse(self._model_info.name, self._model_info.fingerprint, said).to_json(), media_type=_JSON
        )


def make_app(model_info: ModelInfo, thread: ModelThread, token: str = "", hosts: Collection[str] = ()) -> FastAPI:
    """Make the application; call this in the process and event loop that will run it.

    Args:
        model_info: describes the model.
        thread: calls the model.
        token: the token that requests must send; empty to require none.
        hosts: host names, beside `localhost`, that are allowed without a token.
    """
    admission = Admission(thread, model_info.limits)
    metrics = PrometheusMetrics(lambda: admission.waiting, lambda: admission.in_flight)
    service = Service(model_info, admission, metrics)
    app = FastAPI(title=f"segqa: {model_info.name}", redoc_url=None)
    refused: dict[int | str, dict[str, Any]] = {status: {"model": ErrorDetail} for status in _REFUSED}
    app.add_api_route(
        "/predict",
        service.predict,
        methods=["POST"],
        responses={**refused, 200: {"model": PredictResponse, "content": {_PNG: _BINARY}}},
        openapi_extra={"requestBody": _BODY},
    )
    app.add_api_route("/health", service.health, methods=["GET"], responses={503: {}})
    app.add_api_route(
        "/model",
        service.model,
        methods=["GET"],
        responses={200: {"model": ModelInfo}, 401: refused[401], 421: refused[421]},
    )
    app.add_api_route(
        "/metrics",
        service.metrics,
        methods=["GET"],
        response_class=PlainTextResponse,
        responses={401: {"content": {_JSON: {"schema": {"$ref": "#/components/schemas/ErrorDetail"}}}}},
    )
    app.add_exception_handler(RequestError, _handle_request_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)
    app.add_middleware(AccessMiddleware, token=token, hosts=hosts)
    app.add_middleware(CountingMiddleware, metrics=metrics)
    return app


def _require_known_parameters(request: Request) -> None:
    """Raise `RequestError` for a parameter that is unknown or given twice, and so would be ignored."""
    known = ("prompt", "pick", "proposals")
    seen = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"the parameters {', '.join(known)}",
                f"{name[:100]!r}",
                nearest(name[:100], known),
            )
        if name in seen:
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, f"one {name}", "several", f"give {name} once")
        seen.add(name)


def _require_picker(name: str) -> str:
    if name not in PICKERS:
        raise RequestError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"a picker: {', '.join(PICKERS)}",
            f"pick={name[:100]!r}",
            nearest(name[:100], PICKERS),
        )
    return name


def _require_prompt(prompt: str, limits: Limits) -> str:
    if len(prompt) > limits.prompt:
        raise RequestError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"a prompt of at most {limits.prompt} characters",
            f"{len(prompt)}",
            "say it shorter",
        )
    return prompt


def _is_png_requested(accept: str) -> bool:
    """Return whether PNG comes before JSON in the `Accept` header."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in (_PNG, "image/*"):
            return True
        if kind in (_JSON, "application/*", "*/*", ""):
            return False
    raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"Accept: {_JSON} or {_PNG}", f"{accept[:100]!r}", _ACCEPT_JSON)


def _render_png(found: Proposals, picker: Picker) -> Response:
    return Response(render_png(found, picker), media_type=_PNG)


async def _handle_request_error(_: Request, error: Any) -> Response:
    return JSONResponse(error.to_json(), error.status, error.headers)


async def _handle_validation_error(request: Request, error: Any) -> Response:
    """Handle a parameter of the wrong type."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    got = f"{name}={str(first.get('input'))[:100]!r}"
    return await _handle_request_error(
        request, RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {first['msg'].lower()}", got, "see /docs")
    )


async def _handle_http_error(request: Request, error: Any) -> Response:
    """Handle an unknown path or method."""
    status = HTTPStatus(error.status_code)
    got = f"{request.method} {request.url.path[:100]}"
    refused = RequestError(
        status, expected="POST /predict, or GET /health, /model, /metrics or /docs", got=got, do="see /docs"
    )
    return JSONResponse(refused.to_json(), status, error.headers)


async def _handle_unexpected_error(request: Request, _: Exception) -> Response:
    """Handle an unexpected exception; uvicorn logs it."""
    refused = RequestError(
        HTTPStatus.INTERNAL_SERVER_ERROR, expected="an answer", got="a mistake of the server", do="look into its log"
    )
    return await _handle_request_error(request, refused)
