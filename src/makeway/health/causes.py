"""Tell an exception's cause from its type, its bases and its errno: one table, first match wins.

Row numbers refer to the failure taxonomy in docs/failures.md. A row that names an errno wins over
a row that names a type, since `OSError` covers everything; a type matches when it or any of its
bases bears that name, so that a library's own subclass of `ConnectionError` is recognised.
"""

from __future__ import annotations

from makeway.model.record import Cause, CauseClass, ErrorRecord

C, K = Cause, CauseClass

BY_ERRNO = {
    104: C.CONNECTION, 111: C.CONNECTION, 110: C.CONNECTION, 32: C.CONNECTION, 113: C.CONNECTION,
    103: C.CONNECTION, 101: C.CONNECTION,
    28: C.DISK_FULL, 122: C.DISK_FULL,
    5: C.STORAGE, 116: C.STORAGE, 107: C.STORAGE, 30: C.STORAGE,
    12: C.OOM_HOST,
    2: C.MISSING_INPUT,
    13: C.PERMISSION, 1: C.PERMISSION,
}  # fmt: skip

BY_TYPE = (
    ("ConnectionError", C.CONNECTION),
    ("TimeoutError", C.CONNECTION),
    ("socket.gaierror", C.CONNECTION),
    ("MemoryError", C.OOM_HOST),
    ("FileNotFoundError", C.MISSING_INPUT),
    ("PermissionError", C.PERMISSION),
    ("UnicodeDecodeError", C.BAD_DATA),
    ("json.decoder.JSONDecodeError", C.BAD_DATA),
    ("pickle.UnpicklingError", C.BAD_DATA),
    ("makeway.errors.InvalidInput", C.BAD_OUTPUT),
    ("ImportError", C.CODE_ERROR),
    ("SyntaxError", C.CODE_ERROR),
    ("NameError", C.CODE_ERROR),
    ("TypeError", C.CODE_ERROR),
    ("AttributeError", C.CODE_ERROR),
    ("LookupError", C.CODE_ERROR),
    ("AssertionError", C.CODE_ERROR),
    ("NotImplementedError", C.CODE_ERROR),
    ("ZeroDivisionError", C.CODE_ERROR),
)

CLASS_OF = {
    C.NONE: K.NONE,
    C.CANCELLED: K.CANCELLED,
    C.PREEMPTED: K.PREEMPTED,
    C.CANCELLED_EXTERNALLY: K.CANCELLED,
    C.START_TIMEOUT: K.TEMPORARY,
    C.NODE_LOST: K.TEMPORARY,
    C.CONNECTION: K.TEMPORARY,
    C.AUTH: K.PERMANENT,
    C.OOM_HOST: K.RESOURCE,
    C.DISK_FULL: K.RESOURCE,
    C.STORAGE: K.TEMPORARY,
    C.MISSING_INPUT: K.PERMANENT,
    C.DATA_LOST: K.DATA,
    C.BAD_DATA: K.UNKNOWN,
    C.BAD_OUTPUT: K.PERMANENT,
    C.CODE_ERROR: K.PERMANENT,
    C.PERMISSION: K.PERMANENT,
    C.CRASH_NATIVE: K.UNKNOWN,
    C.TIMED_OUT: K.PERMANENT,
    C.HUNG: K.TEMPORARY,
    C.NO_PROGRESS: K.PERMANENT,
    C.KILLED_UNKNOWN: K.UNKNOWN,
    C.USER_PERMANENT: K.PERMANENT,
    C.NO_QUALIFIED_MODEL: K.PERMANENT,
    C.UNKNOWN: K.UNKNOWN,
}

MEANING = {
    C.NONE: "every worker ended well",
    C.CANCELLED: "it was cancelled",
    C.PREEMPTED: "it gave up its place",
    C.CANCELLED_EXTERNALLY: "somebody outside makeway ended it",
    C.START_TIMEOUT: "not all of its workers were ready in time",
    C.NODE_LOST: "the machine under it is gone",
    C.CONNECTION: "it lost a connection",
    C.AUTH: "it was not let in",
    C.OOM_HOST: "there was not enough memory",
    C.DISK_FULL: "the disk is full",
    C.STORAGE: "the storage failed",
    C.MISSING_INPUT: "a file that it needs does not exist",
    C.DATA_LOST: "data that makeway kept for it are gone",
    C.BAD_DATA: "its data cannot be read",
    C.BAD_OUTPUT: "what it gave back cannot be stored",
    C.CODE_ERROR: "there is a mistake in the program",
    C.PERMISSION: "it may not do what it tried",
    C.CRASH_NATIVE: "the program crashed below Python",
    C.TIMED_OUT: "it ran longer than its time limit",
    C.HUNG: "it hung",
    C.NO_PROGRESS: "it was restarted again and again and came no further",
    C.KILLED_UNKNOWN: "it was killed, and nobody here did it",
    C.USER_PERMANENT: "the program itself says that it is of no use to try again",
    C.NO_QUALIFIED_MODEL: "no candidate is good enough",
    C.UNKNOWN: "it failed in a way that no rule knows",
}

HINT = {
    C.CONNECTION: "check the service that it talks to; the retry helps if that one comes back",
    C.OOM_HOST: "ask for more memory, or make the batch smaller",
    C.DISK_FULL: "free some space on the disk that it writes to",
    C.MISSING_INPUT: "check the path; only the machines that hold the file can run this step",
    C.CODE_ERROR: "mend the program, then resume the run: the finished steps are kept",
    C.BAD_OUTPUT: "give back plain values, arrays, state dicts, mw.File or mw.Model",
    C.PERMISSION: "check the rights of the user who runs it",
    C.CRASH_NATIVE: "look at the end of its log; native crashes often come from a library",
    C.TIMED_OUT: "allow it more time, or let it save its work, so that another attempt goes on",
    C.HUNG: "look at where its workers stood; it may wait for something that never comes",
    C.NO_PROGRESS: "look at why each attempt ended before it had saved anything new",
    C.KILLED_UNKNOWN: "look for the kernel's out-of-memory killer and for somebody's kill command",
    C.UNKNOWN: "look at its log; @mw.step(retries=N) allows more attempts",
    C.START_TIMEOUT: "look at the logs of the ranks that were missing",
}


def cause_of_error(error: ErrorRecord) -> Cause:
    """Find the cause that an exception speaks for."""
    names = (error.type, *error.bases)
    if "makeway.errors.Permanent" in names:  # what the program says of itself comes first
        return Cause.USER_PERMANENT
    if error.errno in BY_ERRNO:
        return BY_ERRNO[error.errno]
    return next((cause for name, cause in BY_TYPE if name in names), Cause.UNKNOWN)
