"""Frames of one execution, cut out of the bytes that arrive. The writer is not trusted: every size is bounded."""

import struct
from collections.abc import Iterator

from benchproof.schema.execution import Answer, Digest, Failed, Value

FRAME = struct.Struct(">cIf")  # kind, length of the payload, CPU seconds: as in guest.py
LENGTH = struct.Struct(">I")
IMPORTED, IMPORT_FAILED, END = b"I", b"X", b"."
DIGEST_BYTES = LENGTH.size + 33


class Garbled(ValueError):
    """Not a frame, or one that cannot stand here."""


class Parser:
    """Bytes in, frames out. Holds at most one frame and one read."""

    def __init__(self, cap: int) -> None:
        self._buffer, self._cap, self.total = bytearray(), cap, 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes, float]]:
        """(kind, payload, CPU seconds) of each frame that is whole now. Raises Garbled, OverflowError at the cap."""
        self._buffer += data
        self.total += len(data)
        at = 0
        while len(self._buffer) - at >= FRAME.size:
            kind, length, cpu = FRAME.unpack_from(self._buffer, at)
            if kind not in b"IXVDETU.":
                raise Garbled("no such frame")
            if length > self._cap:
                raise OverflowError
            if len(self._buffer) - at - FRAME.size < length:
                break
            at += FRAME.size
            yield kind, bytes(self._buffer[at : at + length]), cpu
            at += length
        del self._buffer[:at]
        if self.total > self._cap:
            raise OverflowError

    @property
    def clean(self) -> bool:
        """True if nothing of a frame is left over."""
        return not self._buffer


def answer(kind: bytes, payload: bytes) -> Answer:
    """A frame of one input. Raises Garbled."""
    match kind:
        case b"V":
            return Value(payload)
        case b"D" if len(payload) == DIGEST_BYTES:
            return Digest(payload[LENGTH.size : -1].hex(), LENGTH.unpack_from(payload)[0], payload[-1:] == b"f")
        case b"E":
            return Failed("raised", words(payload))
        case b"U":
            return Failed("unencodable", words(payload))
        case b"T" if not payload:
            return Failed("timeout", "")
    raise Garbled("a frame that cannot stand here")


def words(payload: bytes) -> str:
    """Words that a candidate chose: short, and printable."""
    return "".join(sign if sign.isprintable() else "?" for sign in payload[:80].decode("ascii", "replace"))
