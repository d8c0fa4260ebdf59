"""Where the bytes of a document come from: memory, or a file of any size read a stretch at a time."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

_BLOCK = 1 << 20


@runtime_checkable
class Source(Protocol):
    """The little of `bytes` that the reader needs of a document."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> bytes: ...

    def find(self, sub: bytes, start: int = ..., end: int = ..., /) -> int: ...


class _Stretches:
    """A document of which at most a stretch is in memory as bytes.

    Args:
        size: bytes of the document.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at, self._block = 0, b""

    def _read(self, start: int, stop: int) -> bytes:
        raise NotImplementedError

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: slice, /) -> bytes:
        start, stop, _ = at.indices(self._size)
        if stop <= start:
            return b""
        if stop - start > _BLOCK:
            return self._read(start, stop)
        self._see(start, stop)
        return self._block[start - self._at : stop - self._at]

    def _see(self, start: int, stop: int) -> None:
        """Have a short stretch at hand."""
        if not (self._at <= start and stop <= self._at + len(self._block)):
            # Looking around a place goes both ways.
            self._at = max(0, start - _BLOCK // 4)
            self._block = self._read(self._at, min(self._size, self._at + 2 * _BLOCK))

    def find(self, sub: bytes, start: int = 0, end: int | None = None, /) -> int:
        """As `bytes.find`."""
        stop = self._size if end is None else min(end, self._size)
        at = max(start, 0)
        while at < stop:
            upto = min(stop, at + _BLOCK)
            if not (self._at <= at and at + len(sub) <= self._at + len(self._block)):
                self._see(at, upto)
            # What is at hand is searched where it lies: most finds end after a few bytes.
            upto = max(at, min(upto, self._at + len(self._block)))
            found = self._block.find(sub, at - self._at, upto - self._at)
            if found != -1:
                return self._at + found
            if upto in (stop, at):
                return -1
            at = max(at + 1, upto - len(sub) + 1)
        return -1


class FileBytes(_Stretches):
    """A file as a `Source`: at most a stretch of it is in memory.

    Args:
        path: a file that nobody changes while it is read.

    Raises:
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        super().__init__(os.fstat(self._file).st_size)

    def _read(self, start: int, stop: int) -> bytes:
        parts = []
        while start < stop:
            part = os.pread(self._file, stop - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HeldBytes(_Stretches):
    """A large document that a frame holds, as a `Source`, without a copy of all of it.

    Args:
        value: its bytes, as anything that can be sliced without copying.
    """

    def __init__(self, value: memoryview) -> None:
        super().__init__(len(value))
        self._value = value

    def _read(self, start: int, stop: int) -> bytes:
        return bytes(self._value[start:stop])


# What the first letters of a document look like in the character sets that are not one byte a letter, or not ASCII.
_WIDE: tuple[tuple[bytes, str], ...] = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_WIDE += tuple((name.encode(form), form) for name in ("IS", "UN") for form in ("utf-16-le", "utf-16-be"))
_EBCDIC = tuple(name.encode("cp037") for name in ("ISA", "UNA", "UNB"))


def plain(content: bytes) -> bytes:
    """`readable` for a document in memory."""
    return readable(content)[:]


def readable(content: Source) -> Source:
    """The document in a character set with one byte per ASCII letter: UTF-16 and EBCDIC are read as UTF-8.

    Places of such a document count in what is given back.

    Args:
        content: the document as received.
    """
    head = content[:4]
    if head[:3] in (b"ISA", b"UNA", b"UNB"):
        return content
    for start, form in _WIDE:
        if head.startswith(start):
            return content[:].decode(form, errors="replace").encode()
    if head.startswith(_EBCDIC):
        return content[:].decode("cp037").replace("\x85", "\n").encode()
    return content
