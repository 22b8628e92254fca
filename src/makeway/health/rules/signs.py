"""Tell a cause from what a message says: one table, each row with an example; the first match wins.

The same table reads the message of an exception and the lines of a log. What only advises ("it may
be caused by …") is cut out before, since advice is no evidence.

role   root: names a cause · cascade: follows from another failure, so one looks for that first
"""

from __future__ import annotations

import re
from typing import NamedTuple

from makeway.model.incident import Failure
from makeway.model.record import Cause

C = Cause


class Sign(NamedTuple):
    """A pattern, the cause that it speaks for, and a line that it was seen in."""

    cause: Cause
    pattern: re.Pattern[str]
    example: str
    role: str = "root"


def _sign(cause: Cause, pattern: str, example: str, role: str = "root") -> Sign:
    return Sign(cause, re.compile(pattern, re.IGNORECASE), example, role)


HARDWARE_XIDS = "79|48|94|95|119|120|74"
XID = r"xid\b[^\n]*?(?:\)|:|\s)\s*:?\s*"

SIGNS = (
    _sign(C.OOM_GPU, r"(?:cuda|hip|gpu) out of memory|(?:cublas|cudnn)_status_alloc_failed"
          r"|cudaerrormemoryallocation|resource_exhausted: out of memory",
          "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    _sign(C.GPU_HARDWARE, XID + rf"(?:{HARDWARE_XIDS})\b|uncorrectable ecc|fallen off the bus",
          "NVRM: Xid (PCI:0000:3b:00): 79, pid=412, GPU has fallen off the bus."),
    _sign(C.GPU_USER_FAULT, XID + r"(?:13|31|43)\b|illegal memory access|device-side assert",
          "RuntimeError: CUDA error: an illegal memory access was encountered"),
    _sign(C.SDC_SUSPECTED, r"silent data corruption|\bsdc (?:detected|suspected)"
          r"|(?:gradients?|parameters?|weights?|activations?) (?:hash|checksum)s? (?:differ|mismatch)",
          "rank 3: gradient checksum mismatch after all-reduce"),
    _sign(C.NETWORK_COLLECTIVE, r"watchdog caught collective operation timeout"
          r"|nccl (?:error|timeout|communicator was aborted)|nccl(?:system|remote|internal)error"
          r"|gloo[^\n]*(?:time[d ]*out|error|closed|reset)|connection closed by peer"
          r"|(?:operation|wait)\w*\s+timed out[^\n]*(?:collective|all_?reduce|broadcast|barrier)"
          r"|timed out waiting \d+ ?ms for (?:recv|send)|monitoredbarrier"
          r"|terminating the process after attempting to dump debug info|previous error",
          "[Rank 2] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=81, "
          "OpType=ALLREDUCE, Timeout(ms)=1800000) ran for 1800042 milliseconds", "cascade"),
    _sign(C.SHM_FULL, r"no space left on device[^\n]*/dev/shm|/dev/shm[^\n]*no space left"
          r"|unable to (?:write|mmap|open)[^\n]*/dev/shm|out of shared memory",
          "OSError: [Errno 28] No space left on device: '/dev/shm/torch_412'"),
    _sign(C.AUTH, r"\b(?:http|status|code|error)\W{0,3}(?:code\W{0,3})?40[13]\b"
          r"|\b40[13]\b[^\n]{0,20}(?:unauthori[sz]ed|forbidden|client error)|\bunauthori[sz]ed\b"
          r"|\btoken (?:has |is )?(?:been )?expired|expired ?token|authentication ?(?:error|failed)"
          r"|password authentication failed|invalid (?:api[ _-]?key|credentials|access token)"
          r"|access ?denied(?: for user|exception)|could not authenticate|login failed",
          "HTTPError: 401 Client Error: Unauthorized for url: https://models.example/v1"),
    _sign(C.DISK_FULL, r"no space left on device|disk quota exceeded|disk is full|enospc|edquot",
          "OSError: [Errno 28] No space left on device: '/scratch/ckpt/step-900.pt'"),
    _sign(C.DATA_LOST, r"objectlost|object ?reconstruction ?failed|all copies (?:are |were )?lost"
          r"|digest mismatch|shared memory segment[^\n]*(?:missing|not found|does not exist|gone)"
          r"|no such file or directory: '?/?(?:psm_|dev/shm/)",
          "ObjectLostError: object 18ab of step ingest: all copies are lost"),
    _sign(C.STORAGE, r"input/output error|stale (?:nfs )?file handle|read-only file system"
          r"|transport endpoint is not connected|\b(?:eio|estale|erofs|enotconn)\b"
          r"|(?:checkpoint|snapshot)[^\n]*(?:write|writing|save|saving|upload)[^\n]*(?:fail|error)"
          r"|fail[^\n]*(?:write|writing|save|saving|upload)[^\n]*checkpoint",
          "OSError: [Errno 116] Stale file handle: '/mnt/data/shard-3'"),
    _sign(C.CONNECTION, r"connection (?:was |has been )?(?:refused|reset|timed out|aborted|lost)"
          r"|connection (?:unexpectedly )?closed|broken pipe|no route to host|network is unreachable"
          r"|name or service not known|name resolution|getaddrinfo failed|nodename nor servname"
          r"|\b(?:http|status|code)\W{0,3}(?:error\W{0,3}|code\W{0,3})*(?:5\d\d|429)\b"
          r"|\b5\d\d (?:server error|internal server|bad gateway|service unavailable|gateway time)"
          r"|(?:bad gateway|service unavailable|gateway time-?out)|\b429\b|too many requests"
          r"|could not (?:re)?connect|lost connection to|max retries exceeded|read timed out"
          r"|connect timeout|econn(?:reset|refused)|etimedout|ehostunreach|remote end closed",
          "psycopg.OperationalError: server closed the connection unexpectedly: Connection reset"),
    _sign(C.ENV_MISMATCH, r"libcuda|libcudart|glibcxx|version `?glibc|driver[^\n]*version"
          r"|no kernel image is available|undefined symbol|libnvidia",
          "ImportError: /lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found"),
    _sign(C.DIVERGED, r"(?:loss scale|minimum)[^\n]*(?:minimum|loss scale)"
          r"|loss (?:is|was|became|=|:)+\s*(?:nan|[-+]?inf)\b|\bnan loss|loss[^\n]*not finite"
          r"|non-finite loss",
          "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is exploding."),
    _sign(C.OOM_HOST, r"std::bad_alloc|(?:cannot|can't|unable to|failed to) allocate"
          r"|\bmemoryerror\b|not enough memory|java heap space|killed by signal: killed",
          "terminate called after throwing an instance of 'std::bad_alloc'"),
    _sign(C.NO_QUALIFIED_MODEL, r"no_qualified_model|no ?qualified ?model"
          r"|(?:every|all|no) candidates?[^\n]*(?:below|reache?s?|qualif)",
          "NO_QUALIFIED_MODEL: every candidate is below 0.9"),
    _sign(C.UNSCHEDULABLE, r"nodes are available: [^\n]*(?:insufficient|selector|affinity)"
          r"|matches? no node|quota (?:is )?0\b|can never be scheduled",
          "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector"),
    _sign(C.CODE_ERROR, r"unrecognized arguments|the following arguments are required"
          r"|invalid choice:|command not found|no module named|mat1 and mat2 shapes"
          r"|size mismatch for|expected all tensors to be on the same device|permission denied: \./",
          "train.py: error: unrecognized arguments: --bacth-size 64"),
    _sign(C.PERMISSION, r"permission denied|operation not permitted",
          "PermissionError: [Errno 13] Permission denied: '/data/labels'"),
    _sign(C.BAD_DATA, r"parquet magic bytes|not a gzipped file|invalid load key|codec can't decode"
          r"|truncated (?:file|image|input)|(?:corrupt|malformed)[^\n]*(?:file|record|image|header)"
          r"|expecting value: line|invalid utf-?8",
          "pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer of part-3.parquet"),
)  # fmt: skip

ADVICE = re.compile(
    r"\b(?:may|might|could)(?: also)? (?:be|have been)\b|it is possible that|\bpossibly\b"
    r"|\bconsider\b|\b(?:please )?try (?:to|setting|reducing)\b|^\s*hint\b|for debugging|\bsee also\b",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?<=[.;!])\s+|\n")
RECOVERED = re.compile(
    r"\b(?:warn(?:ing)?|info|debug)\b|\bretry(?:ing)?\b|\breconnect(?:ed|ing)\b|\brecovered\b",
    re.IGNORECASE,
)


def sign_of(text: str) -> Sign | None:
    """Find the row that a message matches, once its advice is cut out."""
    plain = without_advice(text)
    return next((sign for sign in SIGNS if sign.pattern.search(plain)), None)


def without_advice(text: str) -> str:
    """Leave away the sentences that only guess or advise."""
    return " ".join(part for part in SENTENCE.split(text) if not ADVICE.search(part))


def names_of(error: Failure) -> list[str]:
    """Give the name of an exception and of its bases, without their modules."""
    return [name.rpartition(".")[2] for name in (error.type, *error.bases) if name]


COLLECTIVES = {"DistBackendError", "DistStoreError", "DistNetworkError", "NCCLError"}
CONNECTIONS = {
    "BrokenPipeError", "ConnectTimeout", "ConnectionAbortedError", "ConnectionError",
    "ConnectionRefusedError", "ConnectionResetError", "IncompleteRead", "InterfaceError",
    "ProtocolError", "ReadTimeout", "RemoteDisconnected", "TimeoutError", "URLError", "gaierror",
    "EndpointConnectionError", "ServerDisconnectedError", "ClientConnectorError", "NewConnectionError",
}  # fmt: skip
CONNECTION_ERRNOS = {104, 111, 110, 32, 113, 103, 101}


def is_collective(error: Failure) -> bool:
    """Say whether an exception comes from a collective operation: it follows from another."""
    if COLLECTIVES & set(names_of(error)):
        return True
    sign = sign_of(error.message)
    return sign is not None and sign.role == "cascade"


def is_connection(error: Failure) -> bool:
    """Say whether an exception is a lost or refused connection."""
    if error.errno is not None and error.errno > 0:  # a resolver counts below 0
        return error.errno in CONNECTION_ERRNOS
    names = names_of(error)
    if CONNECTIONS & set(names) or any(name.endswith("ConnectionError") for name in names):
        sign = sign_of(error.message)
        return sign is None or sign.cause is not C.AUTH
    sign = sign_of(error.message)
    return sign is not None and sign.cause is C.CONNECTION
