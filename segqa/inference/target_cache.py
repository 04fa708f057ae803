"""Keep packed targets in memory for the next model: reading a mask costs more than scoring with it."""

from __future__ import annotations

from segqa.data.case import Source, Target
from segqa.data.mask import pack_masks, unpack_masks


class PackedTargets:
    """The targets that have been read so far, by their digests; no more are kept when there are enough.

    Args:
        limit_mb: megabytes (10^6 bytes) that are kept at most; about a million targets of a single blob.
    """

    def __init__(self, limit_mb: float = 64) -> None:
        self._kept: dict[bytes, tuple[bytes, tuple[int, int], str]] = {}
        self._room = int(limit_mb * 1e6)

    def read(self, source: Source, digest: bytes) -> Target:
        """The target of a case; its pixels are read only if this digest is new."""
        known = self._kept.get(digest)
        if known is not None:
            packed, shape, note = known
            return Target(unpack_masks(packed, (1, *shape))[0], note)
        target = source.target()
        packed = pack_masks(target.mask[None])
        if len(packed) <= self._room:
            self._room -= len(packed)
            height, width = target.mask.shape
            self._kept[digest] = packed, (height, width), target.note
        return target
