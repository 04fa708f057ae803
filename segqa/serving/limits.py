"""The limits of the server, and the errors of requests that exceed them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus

from segqa.data.image_io import MAX_PIXELS, count_claimed_pixels
from segqa.errors import CaseError, OversizeError, SettingsError
from segqa.serving.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
        body_bytes: maximum size of a request body in bytes.
        pixels: maximum number of pixels of all images of a request, by their headers.
        images: maximum number of images in a request.
        prompt: maximum length of a prompt in characters.
        queue: maximum number of requests that wait for the model; twice as many may send their bodies.
        body_seconds: timeout for receiving a body.
        body_rate: minimum rate in bytes per second; slower bodies give way if too many are being received.
        predict_seconds: timeout for an answer, including the time in the queue.
        header_seconds: timeout for receiving the headers.
        connections: maximum number of open connections.

    Raises:
        SettingsError: a limit is not positive, or `pixels` is above the maximum that segqa reads.
    """

    body_bytes: int = 20_000_000
    pixels: int = 50_000_000
    images: int = 16
    prompt: int = 1000
    queue: int = 16
    body_seconds: float = 30.0
    body_rate: int = 10_000
    predict_seconds: float = 60.0
    header_seconds: float = 10.0
    connections: int = 1000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise SettingsError(f"{name} must be above 0, got {value}")
        if self.pixels > MAX_PIXELS:
            raise SettingsError(f"pixels must be at most {MAX_PIXELS}, which is what is read at all, got {self.pixels}")


def require_images(files: list[bytes], limits: Limits) -> None:
    """Check by the headers alone that the files are images with few enough pixels.

    Raises:
        RequestError: a file is not an image, or the images have too many pixels.
    """
    claimed = 0
    for index, data in enumerate(files):
        try:
            claimed += count_claimed_pixels(data, format_image_name(index))
        except OversizeError as error:
            raise _make_pixels_error(limits, str(error)) from error
        except CaseError as error:
            raise make_image_error(error) from error
    if claimed > limits.pixels:
        raise _make_pixels_error(limits, f"{claimed} pixels")


def format_image_name(index: int) -> str:
    """Return the name of an image in error messages."""
    return f"image {index + 1}"


def make_image_error(error: CaseError) -> RequestError:
    """Make the error for a file that cannot be read as an image."""
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        expected="a whole PNG, JPEG, BMP, TIFF or WebP image",
        got=str(error),
        do="send the bytes of the file as they are",
    )


def make_busy_error(seconds: float, got: str) -> RequestError:
    """Make the error of a busy server, with the time after which to retry."""
    wait = str(min(60, max(1, round(seconds))))
    return RequestError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        expected="room for one more request",
        got=got,
        do=f"ask again in {wait} s",
        headers={"Retry-After": wait},
    )


def _make_pixels_error(limits: Limits, got: str) -> RequestError:
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        expected=f"at most {limits.pixels} pixels in all",
        got=got,
        do="scale the image down, or send fewer at a time",
    )
