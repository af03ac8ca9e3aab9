"""What a store may raise. Each class says what happened and what to do, like all errors of the gateway."""

from typing import ClassVar


class StorageError(Exception):
    """Base of all that a store raises. `detail` holds neither secrets nor personal data."""

    code: ClassVar[str] = "storage_failed"
    title: ClassVar[str] = "Store failed"
    cause: ClassVar[str] = "The database refused or failed an operation."
    resolution: ClassVar[str] = "Look at the log line; run `ledgergate doctor`."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail


class StoreUnavailableError(StorageError):
    """The database cannot be written or read now: disk full, read-only, locked, server gone. Nothing was stored."""

    code = "store_unavailable"
    title = "Store unavailable"
    cause = "The database cannot be written: the disk is full or read-only, the file is locked, or the server is gone."
    resolution = (
        "Free the disk or bring the database back, and start again where the answer says so; senders repeat what was "
        "not acknowledged."
    )


class OverloadedError(StorageError):
    """More deliveries are waiting for the disk than the gateway keeps in memory. Nothing was stored."""

    code = "overloaded"
    title = "Overloaded"
    cause = "More deliveries arrive than the disk takes."
    resolution = "Nothing, if it passes: senders repeat. Otherwise use a faster disk or more nodes."


class SchemaError(StorageError):
    """The database belongs to a newer version of the gateway, or is none of ours."""

    code = "schema_unknown"
    title = "Database of another version"
    cause = "The database was made by a newer version of ledgergate, or is not one of ledgergate."
    resolution = "Start the version that wrote it, or point LEDGERGATE_DATABASE_URL to another database."


class NotFoundError(StorageError):
    """There is no such record in this tenant and environment."""

    code = "not_found"
    title = "Not found"
    cause = "There is no such record in this tenant and environment."
    resolution = "Check the id or name, and the tenant and environment in which it is looked for."


class ConflictError(StorageError):
    """The record is not in a state that allows the change."""

    code = "conflict"
    title = "Not possible in this state"
    cause = "The record has changed meanwhile, or its state does not allow this."
    resolution = "Look at it again, then decide."


class LeaseLostError(StorageError):
    """Another worker has taken over the job; what this one wanted to write was refused."""

    code = "lease_lost"
    title = "Lease lost"
    cause = "The worker was paused for longer than its lease, and another has taken over the job."
    resolution = "Nothing: the other worker finishes the job. If it happens often, raise LEDGERGATE_LEASE_SECONDS."


class GuardBusyError(StorageError):
    """A create for another customer with the same e-mail or name is open, or ended after this job has looked."""

    code = "guard_busy"
    title = "An equal create is open"
    cause = "Another customer with the same e-mail address or name is being created on this connection."
    resolution = "Nothing: the job looks again in a moment."


class RecordMovedError(StorageError):
    """The mapping is about another record by now, or gone: what was to be written concerns the one before."""

    code = "record_moved"
    title = "Linked to another record meanwhile"
    cause = "A person, or another job, has linked or unlinked the record while this job was at work."
    resolution = "Nothing: the job starts again at once, from how things stand now."


class CursorInvalidError(StorageError):
    """The cursor was not made by this list."""

    code = "cursor_invalid"
    title = "Cursor invalid"
    cause = "The cursor was not returned by this list."
    resolution = "Begin again without a cursor."


class UnstorableError(StorageError):
    """A value that no database of ours can hold: text that is not Unicode, a number too large. Nothing was stored."""

    code = "value_unstorable"
    title = "Value cannot be stored"
    cause = "A text holds half a character (a lone surrogate), or a number is too large."
    resolution = "Have the sender correct the value."
