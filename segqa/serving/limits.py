"""Limits: how much a server takes on; what is more is refused before it costs anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus

from segqa.data.image_io import MAX_PIXELS, count_claimed_pixels
from segqa.errors import CaseError, OversizeError, SettingsError
from segqa.serving.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server takes on.

    Attributes:
        body_bytes: of a request.
        pixels: of all images of a request, as their headers claim.
        images: in a request.
        prompt: characters.
        queue: requests that wait for the model. Twice as many may be sending their bodies.
        body_seconds: in which a body has to be there.
        body_rate: bytes a second; slower bodies give way when too many are on their way.
        predict_seconds: in which an answer has to be there, waiting included.
        header_seconds: in which the head of a request has to be there.
        connections: at a time.

    Raises:
        SettingsError: a limit is not positive, or images could be larger than any that is read.
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
    """Refuse what is no picture, or claims too many pixels, by the headers alone.

    Raises:
        RefusedError: says which.
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
    """What an image of a request is called in a refusal."""
    return f"image {index + 1}"


def make_image_error(error: CaseError) -> RequestError:
    """The refusal of what cannot be read."""
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        expected="a whole PNG, JPEG, BMP, TIFF or WebP picture",
        got=str(error),
        do="send the bytes of the file as they are",
    )


def make_busy_error(seconds: float, got: str) -> RequestError:
    """The refusal of a server that has enough to do, and when to ask again."""
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
