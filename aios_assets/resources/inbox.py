"""The folder of received documents: reads each file once, never moves or changes one, and never reads half a file.

A document is received when its bytes and their SHA-256 are synced in `raw_edi__documents`; its delivery is noted after
that, so a stop in between takes the file again and changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_EDI_DELIVERIES, RAW_EDI_DOCUMENTS
from aios_assets.contracts.rejects import Reject, reject_frame
from aios_assets.resources.clock import Clock, now_utc
from aios_assets.tabular.sniff import sniff_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aios_assets.resources.lake import Lake

UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
BATCH_BYTES = 64_000_000
BATCH_FILES = 20_000
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """One file in the inbox.

    Attributes:
        uri: path relative to the inbox, with forward slashes.
        path: where it is.
        modified_ns: modification time in nanoseconds.
        size: bytes.
    """

    uri: str
    path: Path
    modified_ns: int
    size: int

    @property
    def received_at(self) -> datetime:
        """When it reached us, in UTC, to the microsecond."""
        return instant_of(self.modified_ns)


@dataclass(frozen=True, slots=True)
class InboxBatch:
    """Documents and deliveries of one batch, ready for the lake: write documents first, deliveries after."""

    documents: pl.DataFrame
    deliveries: pl.DataFrame


@dataclass(slots=True)
class Taken:
    """What taking the inbox did.

    Attributes:
        files: files looked at.
        known: files whose delivery was noted before; not read again.
        later: files that reached us after the cut-off; they wait for their own night.
        future: files whose time is later than the clock; they wait.
        growing: files that changed while we looked; they wait.
        documents: documents new to the store.
        deliveries: deliveries noted.
        duplicates: deliveries whose bytes were received before.
        set_aside: files that could not be taken (unreadable, too large).
        problems: one line each for a person: what, where, what to do.
        rejects: rows for `raw_edi__rejects` about files that could not be taken.
    """

    files: int = 0
    known: int = 0
    later: int = 0
    future: int = 0
    growing: int = 0
    documents: int = 0
    deliveries: int = 0
    duplicates: int = 0
    set_aside: int = 0
    problems: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """The figures, and the problems as text, for metadata and summaries."""
        names = ("files", "known", "later", "future", "growing", "documents", "deliveries", "duplicates", "set_aside")
        return {name: getattr(self, name) for name in names} | {"problems": list(self.problems)}

    def reject_rows(self) -> pl.DataFrame:
        """The rejects as a frame."""
        return reject_frame(self.rejects)


def instant_of(nanoseconds: int) -> datetime:
    """The instant of a file time, exact to the microsecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class Inbox:
    """A folder, read recursively; hidden files and names of unfinished transfers are passed over."""

    def __init__(
        self, root: Path, *, cap_bytes: int = 256_000_000, settle_seconds: float = 1.0, clock: Clock = now_utc
    ) -> None:
        """Name the folder.

        Args:
            root: folder.
            cap_bytes: largest document taken.
            settle_seconds: a file younger than this is looked at twice, this long apart, before it is read.
            clock: tells the present instant.
        """
        self.root, self.cap_bytes, self.settle_seconds, self.clock = Path(root), cap_bytes, settle_seconds, clock

    # -- looking ---------------------------------------------------------------------------------------------------

    def look(self, taken: Taken | None = None) -> list[Found]:
        """All finished files, by time and name.

        Args:
            taken: collects folders that could not be listed.

        Raises:
            BadInputError: the folder does not exist or cannot be listed.
        """
        if not self.root.is_dir():
            raise BadInputError(
                "the inbox folder does not exist", where=str(self.root), todo="make it, or set AIOS_INBOX to the right folder"
            )  # fmt: skip
        try:
            os.scandir(self.root).close()
        except OSError as error:
            raise BadInputError(
                "the inbox folder cannot be listed", where=str(self.root), todo="give the reading user access"
            ) from error
        found = list(self._walk(str(self.root), "", taken or Taken()))
        return sorted(found, key=lambda f: (f.modified_ns, f.uri))

    def _walk(self, folder: str, prefix: str, taken: Taken) -> Iterator[Found]:
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            what = f"folder cannot be listed ({error.strerror})"
            self._note(taken, prefix.rstrip("/"), "unreadable", what, "give the reading user access", None)
            return
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name.lower().endswith(UNFINISHED):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path, f"{prefix}{name}/", taken)
                continue
            try:
                if entry.is_symlink() and (entry.is_dir() or not Path(entry.path).exists()):
                    # Followed, a link to a folder could lead round in a circle; passed over in silence, it would be lost.
                    what = "link to a folder is not followed" if entry.is_dir() else "link leads to nothing"
                    self._note(taken, prefix + name, "link", what, "put the documents themselves there", None)
                if not entry.is_file():
                    continue
                stat = entry.stat()
            except OSError as error:
                what = f"file cannot be looked at ({error.strerror})"
                self._note(taken, prefix + name, "unreadable", what, "give the reading user access", None)
                continue
            # A name that is no text is shown with replacement characters, so that it can be stored at all.
            uri = (prefix + name).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            yield Found(uri, Path(entry.path), stat.st_mtime_ns, stat.st_size)

    # -- taking ----------------------------------------------------------------------------------------------------

    def take(
        self,
        lake: Lake,
        cutoff: datetime,
        *,
        progress: Callable[[str], object] | None = None,
        known_as: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    ) -> Taken:
        """Store every document that reached us by `cutoff` and is not known yet; a rerun changes nothing.

        Args:
            lake: where documents and deliveries go; also says what is known.
            cutoff: instant in UTC; what came at that very instant is taken.
            progress: told one line per batch and per problem.
            known_as: gives rows of documents other times at which they were known; deliveries keep those of the files.

        Raises:
            BadInputError: the inbox does not exist.
        """
        taken = Taken()
        known = lake.read(RAW_EDI_DELIVERIES, columns=["source_uri", "modified_ns", "size_bytes", "document_id"])
        for batch in self.batches(known, cutoff, taken):
            written = lake.write(RAW_EDI_DOCUMENTS, known_as(batch.documents) if known_as else batch.documents)
            lake.write(RAW_EDI_DELIVERIES, batch.deliveries)
            taken.documents += written.rows_written
            taken.deliveries += batch.deliveries.height
            taken.duplicates += int(batch.deliveries["is_duplicate"].sum())
            if progress is not None:
                progress(f"received {taken.deliveries:,} documents ({taken.documents:,} new)")
        if progress is not None:
            for line in taken.problems:
                progress(line)
        return taken

    def batches(self, known: pl.DataFrame, cutoff: datetime, taken: Taken) -> Iterator[InboxBatch]:
        """Read what is new, oldest first, in batches of about 64 MB.

        Args:
            known: deliveries noted so far (source_uri, modified_ns, size_bytes, document_id).
            cutoff: instant in UTC; later files wait.
            taken: counts and problems are added to it.
        """
        wanted = self._wanted(known, cutoff, taken)
        seen = set(known["document_id"].unique().to_list())
        pending: list[tuple[Found, str, bytes | None, bool]] = []
        size = 0
        for file in wanted:
            content = self._content(file, taken)
            if content is None:
                continue
            digest = hashlib.sha256(content).hexdigest()
            is_again = digest in seen
            seen.add(digest)
            # A repeated document is handed over again all the same: after a stop its bytes may not be stored yet.
            pending.append((file, digest, content, is_again))
            size += len(content)
            if size >= BATCH_BYTES or len(pending) >= BATCH_FILES:
                yield _batch(pending)
                pending, size = [], 0
        if pending:
            yield _batch(pending)

    def _wanted(self, known: pl.DataFrame, cutoff: datetime, taken: Taken) -> list[Found]:
        """New, finished, due files."""
        noted = set(known.select("source_uri", "modified_ns", "size_bytes").iter_rows())
        now = self.clock()
        new: list[Found] = []
        for file in self.look(taken):
            taken.files += 1
            if (file.uri, file.modified_ns, file.size) in noted:
                taken.known += 1
            elif file.received_at > now:
                taken.future += 1
                taken.problems.append(
                    f"the file's time {file.received_at:%Y-%m-%d %H:%M} UTC is in the future ({file.uri}). "
                    "To do: correct the sender's clock or touch the file."
                )
            elif file.received_at > cutoff:
                taken.later += 1
            else:
                new.append(file)
        return self._settled(new, now, taken)

    def _settled(self, files: list[Found], now: datetime, taken: Taken) -> list[Found]:
        """Without those that still change: the young ones are looked at again after a moment."""
        young = {f.uri for f in files if (now - f.received_at).total_seconds() < self.settle_seconds}
        if young:
            time.sleep(self.settle_seconds)
        out: list[Found] = []
        for file in files:
            if file.uri in young and _stamp(file.path) != (file.modified_ns, file.size):
                taken.growing += 1
                continue
            out.append(file)
        return out

    def _content(self, file: Found, taken: Taken) -> bytes | None:
        """The bytes, or None when the file is set aside or still changes."""
        try:
            if file.size > self.cap_bytes:
                what = f"document of {file.size / 1e6:,.0f} MB is larger than the {self.cap_bytes / 1e6:,.0f} MB that are taken"
                self._note(
                    taken,
                    file.uri,
                    "too_large",
                    what,
                    "split it, or raise AIOS_DOCUMENT_CAP_MB",
                    file,
                    _digest(file.path),
                )
                return None
            content = file.path.read_bytes()
        except OSError as error:
            self._note(
                taken,
                file.uri,
                "unreadable",
                f"file cannot be read ({error.strerror})",
                "give the reading user access",
                file,
            )
            return None
        if len(content) != file.size or _stamp(file.path) != (file.modified_ns, file.size):
            taken.growing += 1
            return None
        return content

    def _note(
        self,
        taken: Taken,
        uri: str,
        code: str,
        what: str,
        todo: str,
        file: Found | None,
        document_id: str | None = None,
    ) -> None:
        taken.set_aside += 1
        taken.problems.append(f"{what} ({uri}). To do: {todo}.")
        if file is None:
            return
        # There is no stored document to point at; its name stands in for it, so that the row is the same every night.
        identity = document_id or hashlib.sha256(f"{code}:{uri}".encode()).hexdigest()
        taken.rejects.append(
            Reject(identity, f"inbox:{code}", f"{what}: {uri}. To do: {todo}.", file.received_at, level_code="document")
        )


def kind_of(content: bytes) -> str:
    """`kind_code` of a document: EDI by the codec's own sniffing, else by `sniff_plain`."""
    from aios_assets.edi import sniff

    kind = sniff(content)
    return kind if kind in ("x12", "edifact") else sniff_plain(content)


def document_row(
    content: bytes, source_uri: str, transport: str, received_at: datetime, mapping_json: str | None = None
) -> dict[str, Any]:
    """One row of `raw_edi__documents`.

    Args:
        content: bytes as received.
        source_uri: where it was first seen.
        transport: `transport_code`.
        received_at: instant in UTC.
        mapping_json: column mapping given with an import.
    """
    kind = kind_of(content)
    if mapping_json is not None and kind != "parquet":
        kind = "csv"  # the person who imports it says so, whatever its encoding and separator
    return {
        "document_id": hashlib.sha256(content).hexdigest(), "content": content, "size_bytes": len(content),
        "source_uri": source_uri, "transport_code": transport, "kind_code": kind,
        "mapping_json": mapping_json, "available_at_utc": received_at, "available_month": f"{received_at:%Y-%m}",
    }  # fmt: skip


def delivery_row(
    document_id: str, source_uri: str, modified_ns: int, size: int, received_at: datetime, is_again: bool
) -> dict[str, Any]:
    """One row of `raw_edi__deliveries`."""
    identity = hashlib.sha256(f"{source_uri}|{modified_ns}|{document_id}".encode()).hexdigest()[:32]
    return {
        "delivery_id": identity, "document_id": document_id, "source_uri": source_uri, "modified_ns": modified_ns,
        "size_bytes": size, "is_duplicate": is_again, "available_at_utc": received_at,
    }  # fmt: skip


def document_frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Document rows as a frame, the first of equal bytes."""
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["document_id"], row)
    return pl.DataFrame(list(first.values()), schema=RAW_EDI_DOCUMENTS.schema)


def _batch(pending: list[tuple[Found, str, bytes | None, bool]]) -> InboxBatch:
    documents = document_frame(
        document_row(content, f.uri, "folder", f.received_at) for f, _, content, _ in pending if content is not None
    )
    deliveries = [delivery_row(d, f.uri, f.modified_ns, f.size, f.received_at, again) for f, d, _, again in pending]
    return InboxBatch(documents, pl.DataFrame(deliveries, schema=RAW_EDI_DELIVERIES.schema))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_mtime_ns, stat.st_size)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
