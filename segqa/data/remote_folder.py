"""A remote folder is a folder data set in a storage; what its listing says of the files is not asked again."""

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
from segqa.data.image_io import open_picture
from segqa.data.storage import name_of, open_storage, reason, storage_of
from segqa.errors import CaseError, DatasetError

_READABLE = frozenset({"file", "link"})
_HEADER = 65_536


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the listing told of it. It opens nothing before it is read, so that it can be sent to other processes.

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
        """The content.

        Raises:
            CaseError: it cannot be had.
        """
        if self.kind not in _READABLE:
            what = "a folder" if self.kind == "directory" else "not a file"
            raise CaseError(f"{self.name} is {what}; expected a picture")
        try:
            content = storage_of(self.address).read(self.path)
        except DatasetError as error:
            raise CaseError(str(error)) from error
        except Exception as error:
            raise CaseError(f"cannot read {self.name}: {reason(error)}") from error
        if not content:
            raise CaseError(f"{self.name} is empty (0 bytes)")
        return content

    @contextmanager
    def open(self) -> Iterator[Pillow.Image]:
        """The picture, its header read and no pixel decoded; what fails while it is open becomes a `CaseError`."""
        with open_picture(BytesIO(self.read()), self.name) as picture:
            yield picture

    def open_header(self) -> AbstractContextManager[Pillow.Image]:
        """The same, where nobody will decode it: of a large file only the beginning is fetched, if that is enough."""
        if self.size > _HEADER and self.kind in _READABLE:
            try:
                start = storage_of(self.address).read_start(self.path, _HEADER)
                with open_picture(BytesIO(start), self.name):
                    return open_picture(BytesIO(start), self.name)
            except Exception:  # noqa: BLE001 - reading all of it says what is wrong
                return self.open()
        return self.open()

    def stamp(self) -> str:
        """Name, size and mark."""
        return f"{self.name} {self.size} {self.mark}"

    def sizes(self) -> str:
        """Name and size, which a copy keeps."""
        return f"{self.name} {self.size}"


class RemoteFolder:
    """A folder that fsspec can list.

    Args:
        address: of the folder.

    Raises:
        DatasetError: it is not there, or cannot be listed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._storage, self._path = open_storage(address)
        self._files: dict[str, RemoteFile] = {}
        self._top = {_last(entry): entry for entry in self._list(self._path)}
        self.name = name_of(address)

    def __str__(self) -> str:
        return self._address.rstrip("/")

    def names(self, part: str) -> list[str]:
        """What lies in a folder of it, sorted.

        Raises:
            DatasetError: there is no such folder, or it cannot be listed.
        """
        if part not in self._top or self._top[part]["type"] != "directory":
            raise DatasetError(f"no folder {part}/ in {self}; expected images/ and masks/ in it")
        listed = self._list(f"{self._path}/{part}")
        self._files.update({f"{part}/{_last(entry)}": self._file(entry) for entry in listed})
        return sorted(_last(entry) for entry in listed)

    def is_folder(self, part: str, name: str) -> bool:
        """Whether what lies in a folder of it is one, too."""
        return self._files[f"{part}/{name}"].kind == "directory"

    def content(self, name: str) -> bytes | None:
        """What stands in a file of the folder; None where there is none.

        Raises:
            DatasetError: it cannot be read.
        """
        if name not in self._top or self._top[name]["type"] == "directory":
            return None
        try:
            content: bytes = self._storage.cat_file(self._top[name]["name"])
        except Exception as error:
            raise DatasetError(f"cannot read {self}/{name}: {reason(error)}") from error
        return content

    def file(self, part: str, name: str) -> RemoteFile:
        """A file in `images/` or `masks/`."""
        return self._files[f"{part}/{name}"]

    def _list(self, path: str) -> list[dict[str, Any]]:
        """What lies at a path, as it is now: fsspec may know it from before."""
        try:
            self._storage.invalidate_cache(path)
            listed = self._storage.ls(path, detail=True)
            self._storage.invalidate_cache(path)
        except FileNotFoundError as error:
            raise DatasetError(f"data set not found: {self}; expected a folder with images/ and masks/") from error
        except Exception as error:
            raise DatasetError(f"cannot list {self}: {reason(error)}") from error
        # an object store may hold an empty object that stands for the folder itself
        return [entry for entry in listed if entry["name"].strip("/") != path.strip("/")]

    def _file(self, entry: Mapping[str, Any]) -> RemoteFile:
        if entry["size"] is None:
            raise DatasetError(f"{self} is listed without sizes of files: nobody could tell when one changes")
        told = repr(sorted(entry.items()))
        mark = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return RemoteFile(self._address, entry["name"].rstrip("/"), entry["type"], entry["size"], mark)


@contextmanager
def foreseen(cases: Iterable[Case], *, targets: bool = True) -> Iterator[None]:
    """Within the block the files of these cases are fetched ahead, as far as they are remote.

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
        storage_of(address).expect(_files_of(pairs, targets=targets))
    try:
        yield
    finally:
        for address in by_address:
            storage_of(address).expect_nothing()


def _files_of(pairs: Iterable[tuple[RemoteFile, RemoteFile]], *, targets: bool) -> Iterator[tuple[str, int]]:
    """The paths and sizes of what is read, in the order in which it is."""
    for pair in pairs:
        yield from ((file.path, file.size) for file in pair[: 1 + targets] if file.kind in _READABLE)


def _last(entry: Mapping[str, Any]) -> str:
    """The name of an entry in its folder."""
    return str(entry["name"]).rstrip("/").rpartition("/")[2]
