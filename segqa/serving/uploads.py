"""Read uploaded images from request bodies, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from segqa.serving.body_slots import BodySlot
from segqa.serving.errors import RequestError
from segqa.serving.limits import Limits

Done = TypeVar("Done")

_FORM = "multipart/form-data"
_FIELD = "image"
_RAW = ("", "application/octet-stream")


async def read_uploads(request: Request, limits: Limits, slot: BodySlot) -> list[bytes]:
    """Read the image files of a request: its body, or the files of its form in their order.

    Args:
        request: a request whose body has not been read.
        limits: the limits of the server.
        slot: counts the bytes received.

    Raises:
        RequestError: the body is too large, has too many images or none, or has another content type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_FORM, *_RAW) and not kind.startswith("image/"):
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            expected=f"image/*, application/octet-stream or {_FORM}",
            got=f"content type {kind[:100]!r}",
            do="send the bytes of the image as the body, or several images as the files of a form",
        )
    body = await _read_body(request, limits.body_bytes, slot)
    files = await _read_form_files(request, body, limits) if kind == _FORM else [body]
    if not files or not all(files):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "an image", "nothing", "send its bytes as the body, or as a file of the form"
        )
    return files


async def run_while_connected(request: Request, work: Coroutine[Any, Any, Done]) -> Done:
    """Run a coroutine; cancel it if the client disconnects, so that the model is not called in vain.

    Args:
        request: a request whose body has been read.
        work: computes its answer.

    Raises:
        RequestError: the client disconnected.
    """
    doing, leaving = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise RequestError(
                HTTPStatus.BAD_REQUEST, "a connection until the answer is there", "none any more", "ask again"
            )
        return await doing
    finally:
        doing.cancel()
        leaving.cancel()
        # a task holds its exception, which holds this frame: the cycle would keep images until garbage is collected
        del doing, leaving


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read_body(request: Request, most: int, slot: BodySlot) -> bytes:
    """Read the body; of one too large, read as much again, so that the client gets to read the error."""
    body, size = bytearray(), 0
    try:
        async for part in request.stream():
            size += len(part)
            slot.received = size
            if size <= most:
                body += part
            elif size > 2 * most:
                break
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "the whole body", "a part of it", "keep the connection until the answer is there"
        ) from error
    if size > most:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            expected=f"a body of at most {most} bytes",
            got=f"more: {size} and counting" if size > 2 * most else f"{size}",
            do="scale the image down, or send fewer at a time",
            headers={"Connection": "close"},
        )
    return bytes(body)


async def _read_form_files(request: Request, body: bytes, limits: Limits) -> list[bytes]:
    """Return the files of a form."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        # allow fields, so that the error can name a field that is not supported
        async with Request(request.scope, receive).form(max_files=limits.images, max_fields=limits.images) as form:
            return [await _read_part(name, value) for name, value in form.multi_items()]
    except (HTTPException, ValueError) as error:
        said = str(getattr(error, "detail", "")) or "something else"
        raise RequestError(
            HTTPStatus.BAD_REQUEST,
            f"a form of at most {limits.images} files",
            said,
            "look at its boundary, its end and its parts",
        ) from error


async def _read_part(name: str, value: UploadFile | str) -> bytes:
    """Return the file in a part of a form; raise `RequestError` for other fields."""
    if isinstance(value, UploadFile) and name == _FIELD:
        return bytes(await value.read())
    if isinstance(value, UploadFile):
        got, do = f"a file in the field {name[:100]!r}", f"name the field {_FIELD}"
    elif name == _FIELD:
        got, do = f"text in the field {_FIELD!r}", f"send the file itself: curl -F {_FIELD}=@photo.jpg"
    else:
        got, do = f"the field {name[:100]!r}", "put prompt and pick into the URL"
    raise RequestError(HTTPStatus.BAD_REQUEST, f"files in the field {_FIELD!r} alone", got, do)
