"""Escaping: foreign text (names of files, notes, errors) made safe for UTF-8, for one line, and as the name of a file.

Each function leaves what it returns as it is, so that a text may pass through it twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_BIDI = "\u202a-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"

_UNSAFE = re.compile(f"[{_CONTROL}{_BIDI}{_SURROGATES}]|##(?=[\\w-]*\\[)")
"""What a terminal or a CI service obeys: control characters, and `##vso[`, `##teamcity[` or `##[` within a line."""

_LINE_ENDS = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows gives to devices, whatever the suffix."""

_LONGEST = 120
"""Bytes of the name of a file: file systems take 255, and others are put around it."""


def to_utf8(text: str) -> str:
    r"""Return a text that UTF-8 can encode: a lone surrogate, as a file name that is no UTF-8 has it, is escaped.

    >>> to_utf8("p\udce9 é")
    'p\\udce9 é'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_line(text: str) -> str:
    r"""Return a text as one line that no terminal and no CI service obeys: control characters are escaped.

    >>> to_line("a.png\n::error::b\x1b[2J")
    'a.png\\n::error::b\\x1b[2J'
    """
    return _UNSAFE.sub(_escape, text)


def join_lines(lines: Iterable[str]) -> str:
    r"""Return lines as one text; a line that has an end of line within it stays one line.

    >>> join_lines(["worst:", "a\n::error::b"])
    'worst:\na\\n::error::b'
    """
    return "\n".join(map(to_line, lines))


def to_block(text: str) -> str:
    r"""Return a text of several lines, each as `to_line`; all but the first begin with a bar, which no command does.

    >>> to_block("Traceback\n::error::b")
    'Traceback\n| ::error::b'
    """
    return "\n| ".join(map(to_line, _LINE_ENDS.split(re.sub(r"\n\| ", "\n", text.strip()))))


def to_file_name(text: str) -> str:
    """Return a name for a file or folder that every file system and artefact store takes.

    What is left out or cut makes room for a digest where two names could become one.

    >>> to_file_name("unet-photos"), to_file_name("nul"), to_file_name("..")
    ('unet-photos', '_nul', '_')
    """
    plain = re.sub(r"[^\w.+-]+", "-", text)
    if len(plain.encode()) > _LONGEST:
        digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        plain = f"{plain.encode()[: _LONGEST - 9].decode('utf-8', 'ignore')}-{digest}"
    plain = plain.rstrip(".") or "_"
    return f"_{plain}" if _RESERVED.fullmatch(plain) else plain


def _escape(found: re.Match[str]) -> str:
    """Return one unsafe place as Python writes it in a string."""
    text = found[0]
    return "#\\x23" if text == "##" else text.encode("unicode_escape").decode("ascii")
