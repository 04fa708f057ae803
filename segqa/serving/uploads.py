"""Uploads: the images that the body of a request holds, read as it comes and no further than the limits."""

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
    """The files of the images in a request: its body, or the parts of its form, in their order.

    Args:
        request: whose body has not been read.
        limits: of what is taken on.
        slot: counts the bytes that come.

    Raises:
        RefusedError: too large, too many, or nothing of that kind.
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
        raise _malformed("an image", "nothing", "send its bytes as the body, or as a file of the form")
    return files


async def run_while_connected(request: Request, work: Coroutine[Any, Any, Done]) -> Done:
    """What some work comes to; given up when nobody waits for it any more, so that the model is not asked in vain.

    Args:
        request: whose body has been read.
        work: for its answer.

    Raises:
        RefusedError: whoever asked has left.
    """
    doing, leaving = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise _malformed("a connection until the answer is there", "none any more", "ask again")
        return await doing
    finally:
        doing.cancel()
        leaving.cancel()
        # a task holds its exception, and that this frame: with both, images would stay until the garbage collector runs
        del doing, leaving


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read_body(request: Request, most: int, slot: BodySlot) -> bytes:
    """The body. Of one that is too large as much again is read, so that who sends it gets to the answer."""
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
        raise _malformed("the whole body", "a part of it", "keep the connection until the answer is there") from error
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
    """The files in a form that has been read."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        # fields are counted, too, so that one can be told that it is not looked at
        async with Request(request.scope, receive).form(max_files=limits.images, max_fields=limits.images) as form:
            return [await _read_part(name, value) for name, value in form.multi_items()]
    except (HTTPException, ValueError) as error:
        said = str(getattr(error, "detail", "")) or "something else"
        raise _malformed(
            f"a form of at most {limits.images} files", said, "look at its boundary, its end and its parts"
        ) from error


async def _read_part(name: str, value: UploadFile | str) -> bytes:
    """The file in a part of a form, which has to be an image."""
    if isinstance(value, UploadFile) and name == _FIELD:
        return bytes(await value.read())
    if isinstance(value, UploadFile):
        got, do = f"a file in the field {name[:100]!r}", f"name the field {_FIELD}"
    elif name == _FIELD:
        got, do = f"text in the field {_FIELD!r}", f"send the file itself: curl -F {_FIELD}=@photo.jpg"
    else:
        got, do = f"the field {name[:100]!r}", "put prompt and pick into the URL"
    raise _malformed(f"files in the field {_FIELD!r} alone", got, do)


def _malformed(expected: str, got: str, do: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, expected=expected, got=got, do=do)
