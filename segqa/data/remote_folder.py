"""Open a folder data set in remote storage; its listing is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image as Pillow

from segqa.data.case import Case
from segqa.data.case_files import CaseFiles
from segqa.data.image_io import open_image
from segqa.data.storage import describe_error, get_location_name, get_storage, open_storage
from segqa.errors import CaseError, DatasetError

_READABLE = frozenset({"file", "link"})
_HEADER = 65_536


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A remote file as listed. It holds no connection, so that it can be sent to other processes.

    Attributes:
        address: of the data set.
        path: of the file, as its file system has it.
        kind: `file`, or what it is in place of one.
        size: in bytes.
        mark: changes when anything else does that the listing says: time, ETag, version.
    """

    address: str
    path: str
    kind: str
    size: int
    mark: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def read(self) -> bytes:
        """Return the content.

        Raises:
            CaseError: it cannot be had.
        """
        if self.kind not in _READABLE:
            what = "a folder" if self.kind == "directory" else "not a file"
            raise CaseError(f"{self.name} is {what}; expected a picture")
        try:
            content = get_storage(self.address).read(self.path)
        except DatasetError as error:
            raise CaseError(str(error)) from error
        except Exception as error:
            raise CaseError(f"cannot read {self.name}: {describe_error(error)}") from error
        if not content:
            raise CaseError(f"{self.name} is empty (0 bytes)")
        return content

    @contextmanager
    def open(self) -> Iterator[Pillow.Image]:
        """Open the image without decoding a pixel; errors inside the block become a `CaseError`."""
        with open_image(BytesIO(self.read()), self.name) as image:
            yield image

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """Open the image for its header alone; of a large file only the beginning is fetched, if that is enough."""
        if self.size > _HEADER and self.kind in _READABLE:
            try:
                start = get_storage(self.address).read_start(self.path, _HEADER)
                with open_image(BytesIO(start), self.name):
                    return open_image(BytesIO(start), self.name)
            except Exception:  # noqa: BLE001 - reading all of it says what is wrong
                return self.open()
        return self.open()

    def stamp(self) -> str:
        """Return name, size and the mark of the version (ETag or time)."""
        return f"{self.name} {self.size} {self.mark}"

    def sizes(self) -> str:
        """Return name and size, which a copy keeps."""
        return f"{self.name} {self.size}"


class RemoteFolder:
    """A folder that fsspec lists.

    Args:
        address: of the folder.

    Raises:
        DatasetError: it is not there, or cannot be listed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._storage, self._path = open_storage(address)
        self._files: dict[str, RemoteFile] = {}
        self._top = {_get_name(entry): entry for entry in self._list(self._path)}
        self.name = get_location_name(address)

    def __str__(self) -> str:
        return self._address.rstrip("/")

    def names(self, part: str) -> list[str]:
        """List a subfolder, sorted.

        Raises:
            DatasetError: there is no such folder, or it cannot be listed.
        """
        if part not in self._top or self._top[part]["type"] != "directory":
            raise DatasetError(f"no folder {part}/ in {self}; expected images/ and masks/ in it")
        listed = self._list(f"{self._path}/{part}")
        self._files.update({f"{part}/{_get_name(entry)}": self._file(entry) for entry in listed})
        return sorted(_get_name(entry) for entry in listed)

    def is_folder(self, part: str, name: str) -> bool:
        """Return whether an entry is a folder."""
        return self._files[f"{part}/{name}"].kind == "directory"

    def content(self, name: str) -> bytes | None:
        """Read a file of the folder; None where it does not exist.

        Raises:
            DatasetError: it cannot be read.
        """
        if name not in self._top or self._top[name]["type"] == "directory":
            return None
        try:
            content: bytes = self._storage.cat_file(self._top[name]["name"])
        except Exception as error:
            raise DatasetError(f"cannot read {self}/{name}: {describe_error(error)}") from error
        return content

    def file(self, part: str, name: str) -> RemoteFile:
        """Return a file in `images/` or `masks/`."""
        return self._files[f"{part}/{name}"]

    def _list(self, path: str) -> list[dict[str, Any]]:
        """List a path, past fsspec's cache."""
        try:
            self._storage.invalidate_cache(path)
            listed = self._storage.ls(path, detail=True)
            self._storage.invalidate_cache(path)
        except FileNotFoundError as error:
            raise DatasetError(f"data set not found: {self}; expected a folder with images/ and masks/") from error
        except Exception as error:
            raise DatasetError(f"cannot list {self}: {describe_error(error)}") from error
        # an object store may hold an empty object that stands for the folder itself
        return [entry for entry in listed if entry["name"].strip("/") != path.strip("/")]

    def _file(self, entry: Mapping[str, Any]) -> RemoteFile:
        if entry["size"] is None:
            raise DatasetError(f"{self} is listed without sizes of files: nobody could tell when one changes")
        told = repr(sorted(entry.items()))
        mark = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return RemoteFile(self._address, entry["name"].rstrip("/"), entry["type"], entry["size"], mark)


@contextmanager
def prefetch(cases: Iterable[Case], *, targets: bool = True) -> Iterator[None]:
    """Fetch the remote files of these cases ahead inside the block.

    Args:
        cases: that will be read in this order.
        targets: whether their masks will be read as well.
    """
    by_address: dict[str, list[tuple[RemoteFile, RemoteFile]]] = {}
    for case in cases:
        source = case.source
        if not isinstance(source, CaseFiles):
            continue
        image, mask = source.image_file, source.mask_file
        if not (isinstance(image, RemoteFile) and isinstance(mask, RemoteFile)):
            continue
        by_address.setdefault(image.address, []).append((image, mask))
        # looks at a sample, which must not come between what is fetched ahead
        _ = source.reading.rules if targets else source.reading.image
    for address, pairs in by_address.items():
        get_storage(address).start_prefetch(_list_files(pairs, targets=targets))
    try:
        yield
    finally:
        for address in by_address:
            get_storage(address).stop_prefetch()


def _list_files(pairs: Iterable[tuple[RemoteFile, RemoteFile]], *, targets: bool) -> Iterator[tuple[str, int]]:
    """Return paths and sizes of the files that will be read, in that order."""
    for pair in pairs:
        yield from ((file.path, file.size) for file in pair[: 1 + targets] if file.kind in _READABLE)


def _get_name(entry: Mapping[str, Any]) -> str:
    """Return the last part of a path."""
    return str(entry["name"]).rstrip("/").rpartition("/")[2]
