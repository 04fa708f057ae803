"""Ten thousand hostile requests: does the server live, does its memory stay, are its answers refusals?

    python benchmarks/hostile.py [--requests 10000] [--clients 16] [--seed 0]

`segqa serve --model detect_segment` gets files that are cut off, bombs, other types, paths that lead elsewhere, forms
and heads that are wrong, bodies that are too large, too slow or never come. Every answer has to be a 4xx or a 503
without a path or a traceback in it; only who broke off, or spoke no HTTP, may get none. Once in a while a good photo
has to get the same answer as at the start.
"""

from __future__ import annotations

import argparse
import io
import random
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlparse

import httpx
from PIL import Image as Pillow
from served import PHOTOS, ROOT, metric, served

BODY_SECONDS, LARGEST = 1.0, 2_000_000
LIMITS = [f"--body-timeout={BODY_SECONDS}", f"--max-mb={LARGEST / 1e6}"]
LEAKS = (b"Traceback", b"site-packages", b".py", str(ROOT).encode())
ELSEWHERE = ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/predict/..%2fmodel", "//etc//passwd", "/%00")
Attack = Callable[[random.Random], bytes]
"""What is sent; what follows on `STALL` is never sent."""

STALL = b"\0STALL\0"
HANG_UP = b"\0HANG UP\0"


def head(target: str = "/predict", method: str = "POST", **headers: str) -> bytes:
    """The head of a request."""
    lines = {
        "Host": "localhost",
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return f"{method} {target} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in lines.items())


def post(body: bytes, kind: str = "image/png", target: str = "/predict") -> bytes:
    """A request as it should be, but for what is in it."""
    return head(target, Content_Type=kind, Content_Length=str(len(body))) + b"\r\n" + body


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form: the head of each part, and what is in it."""
    body = b"".join(b"--B\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + b"--B--\r\n"
    return post(body, "multipart/form-data; boundary=B")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that claims a size."""
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + b"".join(chunks) + chunk(b"IEND", b"")


def written(form: str, width: int, height: int) -> bytes:
    """A picture of one colour, which compresses to little."""
    stream = io.BytesIO()
    Pillow.new("1" if form != "WEBP" else "RGB", (width, height)).save(stream, form)
    return stream.getvalue()


def attacks(photo: bytes) -> dict[str, list[Attack]]:
    """What is tried, by its sort."""
    real = {form: written(form, 9000, 9000) for form in ("PNG", "BMP", "TIFF")} | {"WEBP": written("WEBP", 16000, 5000)}
    zeros = zlib.compress(bytes(50_000_000))
    file = 'Content-Disposition: form-data; name="image"; filename="{}"'
    return {
        "cut off": [
            lambda r: post(photo[: r.randrange(1, int(len(photo) * 0.9))], "image/jpeg"),
            lambda r: form((file.format("a.jpg"), photo[: r.randrange(1, len(photo) // 2)])),
            lambda r: post(real["PNG"][: r.randrange(1, 200)]),
        ],
        "bomb": [
            *(lambda _, data=data: post(data) for data in real.values()),
            lambda r: post(png(r.randrange(30_000, 2**31), r.randrange(30_000, 2**31), chunk(b"IDAT", zeros))),
            lambda _: post(png(64, 64, chunk(b"zTXt", b"a\0\0" + zeros), chunk(b"IDAT", zeros))),
            lambda _: post(png(64, 64, chunk(b"iCCP", b"a\0\0" + zeros))),
            lambda _: form(*[(file.format(f"{i}.png"), written("PNG", 3000, 2500)) for i in range(8)]),
        ],
        "no picture": [
            lambda r: post(r.randbytes(r.randrange(1, 5000))),
            lambda r: post(photo[:4] + r.randbytes(500), "image/jpeg"),
            lambda _: post(b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
            lambda _: post(b"GIF89a" + bytes(100)),
            lambda _: post(b"PK\3\4" + bytes(100), "application/zip"),
            lambda _: post(b'{"image": "/etc/passwd"}', "application/json"),
            lambda _: post(photo, "text/html"),
            lambda _: post(b""),
            lambda _: post(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ls) system", "image/x-eps"),
        ],
        "path": [
            lambda r: head(r.choice(ELSEWHERE), "GET") + b"\r\n",
            lambda r: head(f"/{'a' * r.randrange(1, 60_000)}", "GET") + b"\r\n",
            lambda r: head(method=r.choice(("GET", "PUT", "DELETE", "TRACE", "NONSENSE"))) + b"\r\n",
            lambda _: form((file.format("../../../etc/passwd"), b"root:x:0:0")),
            lambda _: form((file.format("/etc/passwd\0.png"), b"\0" * 99)),
            lambda _: post(photo, "image/jpeg", "/predict?pick=../../etc/passwd"),
            lambda _: post(photo, "image/jpeg", "/predict?file=/etc/passwd"),
            lambda r: post(photo, "image/jpeg", f"/predict?prompt={'%00' * r.randrange(1001, 5000)}"),
            lambda _: post(photo, "image/jpeg", "/predict?proposals=" + "9" * 5000),
        ],
        "form": [
            lambda _: post(photo, "multipart/form-data"),
            lambda _: post(b"--C\r\n\r\n" + photo, "multipart/form-data; boundary=B"),
            lambda _: form(*[(file.format("a"), b"x")] * 2000),
            lambda _: form(*[('Content-Disposition: form-data; name="a"', b"x")] * 2000),
            lambda r: form((f"X: {'y' * r.randrange(100_000)}", b"x")),
            lambda _: form(("Content-Disposition: form-data", photo)),
            lambda r: post(b"--B\r\n" + r.randbytes(300), "multipart/form-data; boundary=B"),
            lambda _: post(b"\r\n" * 500_000, "multipart/form-data; boundary=B"),
            lambda _: post(b"--B" * 300_000, f"multipart/form-data; boundary={'B-' * 1000}"),
        ],
        "head": [
            lambda r: r.randbytes(r.randrange(10, 3000)).replace(STALL, b"") + b"\r\n\r\n",
            lambda r: head(**{f"X{i}": "y" * 500 for i in range(r.randrange(200, 400))}) + b"\r\n",
            lambda _: head(Content_Length="-5") + b"\r\n",
            lambda _: head(Content_Length="5", Transfer_Encoding="chunked") + b"\r\n0\r\n\r\n",
            lambda _: head(Transfer_Encoding="chunked", Content_Type="image/png") + b"\r\nzzz\r\nabc\r\n",
            lambda _: head(Accept="\xff" * 1000, Content_Length="3") + b"\r\nabc",
            lambda _: post(photo, "image/jpeg").replace(b"Host: localhost", b"Accept: text/x"),
        ],
        "too large": [
            lambda r: post(bytes(LARGEST + r.randrange(1, LARGEST // 2))),
            lambda _: head(Transfer_Encoding="chunked") + b"\r\n" + (b"4000\r\n" + bytes(0x4000) + b"\r\n") * 140,
            lambda _: head(Content_Length="99999999999") + b"\r\n" + bytes(LARGEST),
        ],
        "slow": [
            lambda _: head(Content_Length="5000", Content_Type="image/png") + b"\r\nabc" + STALL,
            lambda _: head(Transfer_Encoding="chunked") + b"\r\n5\r\nab" + STALL,
        ],
        "broken off": [
            lambda r: post(photo)[: r.randrange(1, 5000)] + HANG_UP,
            lambda _: head(Transfer_Encoding="chunked") + b"\r\n5\r\nab" + HANG_UP,
            lambda _: HANG_UP,
        ],
    }


SHARES = {"slow": 0.02, "too large": 0.08, "broken off": 0.1}
"""Of all requests; the other sorts share the rest."""


def strike(url: str, sent: bytes) -> tuple[int, bytes]:
    """Send something, and see what comes; status 0 where nothing does."""
    where, answer = urlparse(url), b""
    data, hangs_up = sent.removesuffix(STALL), sent.endswith(HANG_UP)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=60) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data.removesuffix(HANG_UP))
        if hangs_up:
            return 0, b""
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0, answer


def main() -> None:
    """Attack, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    photo = min(PHOTOS.iterdir()).read_bytes()
    sorts = attacks(photo)
    rest = (1 - sum(SHARES.values())) / (len(sorts) - len(SHARES))
    weights = [SHARES.get(name, rest) for name in sorts]
    random_ = random.Random(given.seed)  # noqa: S311 - no secret
    names = random_.choices(list(sorts), weights, k=given.requests)
    seeds = [random_.randrange(2**32) for _ in names]
    found: Counter[tuple[str, int]] = Counter()
    leaks: list[bytes] = []

    def one(url: str, name: str, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        status, answer = strike(url, chance.choice(sorts[name])(chance))
        found[name, status] += 1
        leaks.extend([answer] if any(leak in answer for leak in LEAKS) else [])

    with served("detect_segment", LIMITS, silent=True) as url, ThreadPoolExecutor(given.clients) as pool:
        good = httpx.post(f"{url}/predict", content=photo, timeout=60).content
        start, step = time.perf_counter(), max(1, given.requests // 10)
        print("| requests | memory, MB | the good photo |\n|---|---|---|")
        for first in range(0, given.requests, step):
            part = slice(first, first + step)
            list(pool.map(lambda pair: one(url, *pair), zip(names[part], seeds[part], strict=True)))
            same = httpx.post(f"{url}/predict", content=photo, timeout=60).content == good
            memory = metric(url, "process_resident_memory_bytes") / 1e6
            print(f"| {min(first + step, given.requests):,} | {memory:.0f} | {'as before' if same else 'OTHERWISE'} |")
            assert same
        seconds = time.perf_counter() - start
        files = metric(url, "process_open_fds")
    statuses = sorted({status for _, status in found})
    print(f"\n{given.requests:,} requests in {seconds:.0f} s; {files:.0f} files open in the end.\n")
    print(f"| sort | {' | '.join(str(each) if each else 'none' for each in statuses)} |\n|---|{'---|' * len(statuses)}")
    for name in sorts:
        print(f"| {name} | {' | '.join(str(found[name, each] or '') for each in statuses)} |")
    assert not leaks, leaks[0]
    assert all(status == 503 or 400 <= status < 500 for name, status in found if status), found


if __name__ == "__main__":
    main()
