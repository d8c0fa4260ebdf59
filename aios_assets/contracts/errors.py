"""One tree of errors that speak to the person: what, where, how many, what to do next."""

from __future__ import annotations


class AiosError(Exception):
    """Base of every error this system raises on purpose.

    Args:
        what: what went wrong, in one plain sentence without a full stop at the end.
        where: file, table, column or setting concerned.
        count: how many rows, files or series are concerned.
        todo: what the person can do next.
    """

    code = "aios"
    exit_code = 1

    def __init__(self, what: str, *, where: str = "", count: int | None = None, todo: str = "") -> None:
        self.what, self.where, self.count, self.todo = what, where, count, todo
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """Render the one line that a person reads.

        >>> BadInputError("column 'qty' is missing", where="sales.csv", todo="add it to the mapping").sentence()
        "column 'qty' is missing (sales.csv). To do: add it to the mapping."
        """
        number = f", {self.count:,} of them" if self.count is not None else ""
        where = f" ({self.where}{number})" if self.where else (f" ({self.count:,} of them)" if number else "")
        todo = f" To do: {self.todo}." if self.todo else ""
        return f"{self.what}{where}.{todo}"


class BadInputError(AiosError):
    """What was handed to us cannot be used: file, frame, argument."""

    code = "bad_input"


class UsageError(AiosError):
    """The command was called wrongly."""

    code = "usage"
    exit_code = 2


class ContractError(AiosError):
    """A frame breaks its table contract: column, type, null key, NaN, duplicate key."""

    code = "contract"


class IntegrityError(AiosError):
    """Stored bytes are not what was written: hash, checksum, commit log."""

    code = "integrity"


class ConflictError(AiosError):
    """Something in the way holds what is needed: a sandbox that is there already, a port, another writer."""

    code = "conflict"


class BusyError(ConflictError):
    """Another run or writer holds the lock; trying again later helps, and the exit code says so (EX_TEMPFAIL)."""

    code = "busy"
    exit_code = 75


class StorageError(AiosError):
    """The disk is full, or this user has no right to a file; the exit code says that it is no fault of the call (EX_IOERR)."""

    code = "storage"
    exit_code = 74


class InfeasibleError(AiosError):
    """A plan cannot meet its constraints: says which one and by how much."""

    code = "infeasible"


class RefusedError(AiosError):
    """A gate refused: missing, stale, too few or mismatched evidence."""

    code = "refused"


class NotSupportedError(AiosError):
    """Asked for something that is not built yet."""

    code = "not_supported"
