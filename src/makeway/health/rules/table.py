"""Hold the log patterns: one table, a row for each way in which something is said, with a line of it.

The same rows read the message of an exception and the lines of a log. Rows of one cause stand
together; of what a text could mean the first row counts, so what is more special stands before.
No line that is an example of one cause is matched by a row of another.

root          names a cause by itself
cascade       follows from another failure, which is looked for first
confirmation  says why only together with what else is known of that kind of end (`use` says which)
advice        only guesses, advises, or tells of a recovery: never evidence

Takes:   nothing
Gives:   ROWS
Source:  docs/failures.md, the causes; the lines are as programs, libraries and kernels print them
"""

from __future__ import annotations

from typing import NamedTuple

from makeway.model.record import Cause

C = Cause
Told = tuple[str, str]  # a pattern, without regard to capitals, and a line that it was seen in


class Row(NamedTuple):
    """A pattern, what it speaks for, and a line that it was seen in; an advice speaks for nothing.

    use   of a confirmation what it confirms, of an advice what is cut out: a sentence or the line
    """

    cause: Cause | None
    role: str
    pattern: str
    example: str
    use: str = ""


def _rows(cause: Cause | None, role: str, *told: Told, use: str = "") -> tuple[Row, ...]:
    return tuple(Row(cause, role, pattern, example, use) for pattern, example in told)


XID = r"xid\b[^\n]*?(?:\)|:|\s)\s*:?\s*"

DEVICES = (
    *_rows(
        C.OOM_GPU, "root",
        (r"(?:cuda|hip|gpu) out of memory", ("torch.OutOfMemoryError: CUDA out of memory. Tried to "
         "allocate 2.00 GiB")),
        (r"(?:cublas|cudnn)_status_alloc_failed", ("RuntimeError: CUDA error: "
         "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")),
        (r"cudaerrormemoryallocation", "RuntimeError: cudaErrorMemoryAllocation at kernel launch"),
        (r"resource_exhausted: out of memory", ("RESOURCE_EXHAUSTED: Out of memory while trying to "
         "allocate 8589934592 bytes.")),
    ),
    *_rows(
        C.GPU_HARDWARE, "root",
        (XID + r"(?:79|48|94|95|119|120|74)\b", ("NVRM: Xid (PCI:0000:3b:00): 48, pid=412, Double "
         "Bit Error")),
        (r"uncorrectable ecc", "RuntimeError: CUDA error: uncorrectable ECC error encountered"),
        (r"fallen off the bus", "NVRM: GPU at PCI:0000:3b:00: GPU has fallen off the bus."),
    ),
    *_rows(
        C.GPU_USER_FAULT, "root",
        (XID + r"(?:13|31|43)\b", "NVRM: Xid (PCI:0000:3b:00): 31, pid=412, MMU Fault"),
        (r"illegal memory access", ("RuntimeError: CUDA error: an illegal memory access was "
         "encountered")),
        (r"device-side assert", "RuntimeError: CUDA error: device-side assert triggered"),
    ),
    *_rows(
        C.SDC_SUSPECTED, "root",
        (r"silent data corruption", "node n3: silent data corruption found by the burn-in"),
        (r"\bsdc (?:detected|suspected)", "rank 3: SDC detected in layer 7"),
        (r"(?:gradients?|parameters?|weights?|activations?) (?:hash|checksum)s? (?:differ|mismatch)",
         "rank 3: gradient checksum mismatch after all-reduce"),
    ),
    *_rows(
        C.NETWORK_COLLECTIVE, "cascade",
        (r"watchdog caught collective operation timeout", ("[Rank 2] Watchdog caught collective "
         "operation timeout: WorkNCCL(SeqNum=81, OpType=ALLREDUCE) ran for 1800042 milliseconds")),
        (r"nccl (?:error|timeout|communicator was aborted)", "NCCL communicator was aborted on rank 5"),
        (r"nccl(?:system|remote|internal)error", ("ncclRemoteError: a call to a remote peer "
         "failed")),
        (r"gloo[^\n]*(?:time[d ]*out|error|closed|reset)", ("[gloo/transport/tcp/pair.cc:534] "
         "Connection closed by peer [10.0.0.3]:41")),
        (r"connection closed by peer", "RuntimeError: Connection closed by peer [10.0.0.3]:2077"),
        (r"(?:operation|wait)\w*\s+timed out[^\n]*(?:collective|all_?reduce|broadcast|barrier)",
         "operation timed out in all_reduce after 600 s"),
        (r"timed out waiting \d+ ?ms for (?:recv|send)", ("Timed out waiting 1800000ms for recv "
         "operation to complete")),
        (r"monitoredbarrier", "Rank 0 in monitoredBarrier: ranks 2, 3 did not come"),
        (r"terminating the process after attempting to dump debug info", ("Terminating the process "
         "after attempting to dump debug info, due to a watchdog")),
        (r"previous error", "all ranks abort because of a previous error"),
    ),
    *_rows(
        C.SHM_FULL, "root",
        (r"no space left on device[^\n]*/dev/shm", ("OSError: [Errno 28] No space left on device: "
         "'/dev/shm/torch_412'")),
        (r"/dev/shm[^\n]*no space left", "/dev/shm/torch_9: write failed, no space left"),  # noqa: S108 - a line of a log
        (r"unable to (?:write|mmap|open)[^\n]*/dev/shm", ("unable to mmap 134217728 bytes from "
         "/dev/shm/torch_7")),
        (r"out of shared memory", "RuntimeError: out of shared memory"),
    ),
)  # fmt: skip

SERVICES = (
    *_rows(
        C.AUTH, "root",
        (r"\b(?:http|status|code|error)\W{0,3}(?:code\W{0,3})?40[13]\b", ("request failed with "
         "status code 403")),
        (r"\b40[13]\b[^\n]{0,20}(?:unauthori[sz]ed|forbidden|client error)", ("HTTPError: 401 Client "
         "Error for url: https://models.example/v1")),
        (r"\bunauthori[sz]ed\b", "the registry answered: Unauthorized"),
        (r"\btoken (?:has |is )?(?:been )?expired", "the access token has expired"),
        (r"expired ?token", "botocore: ExpiredToken when calling GetObject"),
        (r"authentication ?(?:error|failed)", "AuthenticationError: who are you?"),
        (r"password authentication failed", 'FATAL: password authentication failed for user "ml"'),
        (r"invalid (?:api[ _-]?key|credentials|access token)", "wandb: Invalid API key"),
        (r"access ?denied(?: for user|exception)", "Access denied for user 'ml'@'10.0.0.7'"),
        (r"could not authenticate", "could not authenticate with the registry"),
        (r"login failed", "Login failed for the feature store"),
    ),
    *_rows(
        C.DISK_FULL, "root",
        (r"no space left on device(?![^\n]*/dev/shm)", ("OSError: [Errno 28] No space left on device: "
         "'/scratch/ckpt/step-900.pt'")),
        (r"disk quota exceeded", "OSError: [Errno 122] Disk quota exceeded"),
        (r"disk is full", "sqlite3.OperationalError: database or disk is full"),
        (r"enospc", "write: ENOSPC"),
        (r"edquot", "write: EDQUOT"),
    ),
    *_rows(
        C.DATA_LOST, "root",
        (r"objectlost", "ray.exceptions.ObjectLostError: object 18ab of step ingest"),
        (r"object ?reconstruction ?failed", "ObjectReconstructionFailedError: 18ab"),
        (r"all copies (?:are |were )?lost", "object 18ab of step ingest: all copies are lost"),
        (r"digest mismatch", "digest mismatch: expected sha256:18ab, found sha256:77c0"),
        (r"shared memory segment[^\n]*(?:missing|not found|does not exist|gone)",
         "shared memory segment psm_41 does not exist"),
        (r"no such file or directory: '?/?(?:psm_|dev/shm/)",
         "FileNotFoundError: [Errno 2] No such file or directory: '/psm_41'"),
    ),
    *_rows(
        C.STORAGE, "root",
        (r"input/output error", "OSError: [Errno 5] Input/output error"),
        (r"stale (?:nfs )?file handle", "OSError: [Errno 116] Stale file handle: '/mnt/shard-3'"),
        (r"read-only file system", "OSError: [Errno 30] Read-only file system: '/data/out'"),
        (r"transport endpoint is not connected", ("OSError: [Errno 107] Transport endpoint is not "
         "connected: '/mnt/fuse'")),
        (r"\b(?:eio|estale|erofs|enotconn)\b", "read: EIO"),
        (r"(?:checkpoint|snapshot)[^\n]*(?:write|writing|save|saving|upload)[^\n]*(?:fail|error)",
         "checkpoint 900: the upload failed"),
        (r"fail[^\n]*(?:write|writing|save|saving|upload)[^\n]*checkpoint",
         "failed to save the checkpoint of step 900"),
    ),
    *_rows(
        C.CONNECTION, "root",
        (r"connection (?:was |has been )?(?:refused|reset|timed out|aborted|lost)",
         "ConnectionResetError: [Errno 104] Connection reset by peer"),
        (r"connection (?:unexpectedly )?closed(?! by peer)", ("psycopg: the connection unexpectedly "
         "closed")),
        (r"broken pipe", "BrokenPipeError: [Errno 32] Broken pipe"),
        (r"no route to host", "OSError: [Errno 113] No route to host"),
        (r"network is unreachable", "OSError: [Errno 101] Network is unreachable"),
        (r"name or service not known", "gaierror: [Errno -2] Name or service not known"),
        (r"name resolution", "Temporary failure in name resolution"),
        (r"getaddrinfo failed", "socket.gaierror: getaddrinfo failed"),
        (r"nodename nor servname", "nodename nor servname provided, or not known"),
        (r"\b(?:http|status|code)\W{0,3}(?:error\W{0,3}|code\W{0,3})*(?:5\d\d|429)\b",
         "request failed with status code 503"),
        (r"\b5\d\d (?:server error|internal server|bad gateway|service unavailable|gateway time)",
         "HTTPError: 503 Server Error for url: https://store.example/x"),
        (r"(?:bad gateway|service unavailable|gateway time-?out)", "nginx: Bad Gateway"),
        (r"\b429\b|too many requests", "Too Many Requests, wait 30 s"),
        (r"could not (?:re)?connect", "could not connect to the feature store"),
        (r"lost connection to", "Lost connection to MySQL server during query"),
        (r"max retries exceeded", "Max retries exceeded with url: /v1/rows"),
        (r"read timed out", "HTTPSConnectionPool(host='x', port=443): Read timed out."),
        (r"connect timeout", "Connect timeout on endpoint URL: https://s3.example"),
        (r"econn(?:reset|refused)|etimedout|ehostunreach", "read ECONNRESET"),
        (r"remote end closed", "RemoteDisconnected: Remote end closed without a response"),
    ),
)  # fmt: skip

PROGRAMS = (
    *_rows(
        C.ENV_MISMATCH, "root",
        (r"libcuda|libcudart", "ImportError: libcudart.so.12: cannot open shared object file"),
        (r"glibcxx", "ImportError: /lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found"),
        (r"version `?glibc", "/lib/libc.so.6: version `GLIBC_2.38' not found"),
        (r"driver[^\n]*version", "CUDA driver version is insufficient for the runtime"),
        (r"no kernel image is available", "CUDA error: no kernel image is available for execution"),
        (r"undefined symbol", "ImportError: _C.so: undefined symbol: _ZN3c104cuda"),
        (r"libnvidia", "libnvidia-ml.so.1: wrong ELF class"),
    ),
    *_rows(
        C.DIVERGED, "root",
        (r"(?:loss scale|minimum)[^\n]*(?:minimum|loss scale)",
         "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is exploding."),
        (r"loss (?:is|was|became|=|:)+\s*(?:nan|[-+]?inf)\b", "step 812: loss is nan"),
        (r"\bnan loss", "NaN loss at step 812, stopping"),
        (r"loss[^\n]*not finite", "ValueError: the loss of batch 7 is not finite"),
        (r"non-finite loss", "non-finite loss at step 812"),
    ),
    *_rows(
        C.OOM_HOST, "root",
        (r"std::bad_alloc", "terminate called after throwing an instance of 'std::bad_alloc'"),
        (r"(?:cannot|can't|unable to|failed to) allocate", "OSError: [Errno 12] Cannot allocate memory"),
        (r"\bmemoryerror\b", "MemoryError"),
        (r"not enough memory", "RuntimeError: DefaultCPUAllocator: not enough memory"),
        (r"java heap space", "java.lang.OutOfMemoryError: Java heap space"),
        (r"killed by signal: killed", "DataLoader: a worker was killed by signal: Killed."),
    ),
    *_rows(
        C.NO_QUALIFIED_MODEL, "root",
        (r"no_qualified_model|no ?qualified ?model", "NO_QUALIFIED_MODEL: 0 of 4"),
        (r"(?:every|all|no) candidates?[^\n]*(?:below|reache?s?|qualif)",
         "every candidate is below 0.9"),
    ),
    *_rows(
        C.UNSCHEDULABLE, "root",
        (r"nodes are available: [^\n]*(?:insufficient|selector|affinity)",
         "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector"),
        (r"matches? no node", "the selector gpu=h100 matches no node"),
        (r"quota (?:is )?0\b", "gpus of group b: quota is 0"),
        (r"can never be scheduled", "it asks for 9 GPUs and can never be scheduled"),
    ),
    *_rows(
        C.CODE_ERROR, "root",
        (r"unrecognized arguments", "train.py: error: unrecognized arguments: --bacth-size 64"),
        (r"the following arguments are required", ("train.py: the following arguments are required: "
         "--data")),
        (r"invalid choice:", "argument --model: invalid choice: 'cn'"),
        (r"command not found", "sh: 1: trian: command not found"),
        (r"no module named", "ModuleNotFoundError: No module named 'torchvison'"),
        (r"mat1 and mat2 shapes", "mat1 and mat2 shapes cannot be multiplied (64x512 and 256x10)"),
        (r"size mismatch for", "size mismatch for head.weight: copying a param with shape [10, 512]"),
        (r"expected all tensors to be on the same device", ("Expected all tensors to be on the same "
         "device, but found at least two devices, cuda:0 and cpu!")),
        (r"permission denied: \./", "bash: permission denied: ./train.sh"),
    ),
    *_rows(
        C.PERMISSION, "root",
        (r"permission denied(?!: \./)", "PermissionError: [Errno 13] Permission denied: '/data/labels'"),
        (r"operation not permitted", "PermissionError: [Errno 1] Operation not permitted"),
    ),
    *_rows(
        C.BAD_DATA, "root",
        (r"parquet magic bytes", ("pyarrow.lib.ArrowInvalid: Parquet magic bytes not found in footer "
         "of part-3.parquet")),
        (r"not a gzipped file", "gzip.BadGzipFile: Not a gzipped file (b'<h')"),
        (r"invalid load key", "_pickle.UnpicklingError: invalid load key, '<'."),
        (r"codec can't decode", "'utf-8' codec can't decode byte 0xff in position 812"),
        (r"truncated (?:file|image|input)", "OSError: truncated image 00412.jpg (12 bytes missing)"),
        (r"(?:corrupt|malformed)[^\n]*(?:file|record|image|header)", "corrupted record at 1048576"),
        (r"expecting value: line", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        (r"invalid utf-?8", "invalid UTF-8 in labels.csv, line 9"),
    ),
)  # fmt: skip

CONFIRMED = (
    *_rows(
        C.OOM_HOST, "confirmation",
        (r"memory cgroup out of memory: kill(?:ed)? process", ("Memory cgroup out of memory: Killed "
         "process 412 (python) total-vm:9000kB")),
        use="kernel_kill",
    ),
    *_rows(
        C.SHM_FULL, "confirmation",
        (r"bus error", "Bus error (core dumped)"),
        (r"shared memory(?! segment)", "RuntimeError: this might be insufficient shared memory (shm)"),
        (r"(?<!directory: ')/dev/shm", "wrote 64 MB to /dev/shm/torch_3"),
        (r"dataloader worker[^\n]*killed", "RuntimeError: DataLoader worker (pid 41) was killed"),
        use="shared_memory",
    ),
    *_rows(
        C.TIMED_OUT, "confirmation",
        (r"cancelled[^\n]*time limit",
         "slurmstepd: *** JOB 81 ON n1 CANCELLED AT 2026-11-24T09:00:00 DUE TO TIME LIMIT ***"),
        use="ended_for",
    ),
    *_rows(
        C.PREEMPTED, "confirmation",
        (r"cancelled[^\n]*preempt",
         "slurmstepd: *** JOB 81 CANCELLED AT 2026-11-24T09:00:00 DUE TO PREEMPTION ***"),
        use="ended_for",
    ),
    *_rows(
        C.NODE_LOST, "confirmation",
        (r"cancelled[^\n]*node fail",
         "slurmstepd: *** JOB 81 CANCELLED AT 2026-11-24T09:00:00 DUE TO NODE FAILURE ***"),
        use="ended_for",
    ),
    *_rows(
        C.CANCELLED_EXTERNALLY, "confirmation",
        (r"scancel", "ended with scancel"),
        (r"keyboardinterrupt", "KeyboardInterrupt"),
        (r"interrupted by (?:the )?user", "interrupted by the user"),
        (r"cancelled at(?![^\n]*(?:time limit|preempt|node fail))",
         "slurmstepd: *** STEP 81.0 ON n1 CANCELLED AT 2026-11-24T09:00:00 ***"),
        (r"cancelled by", "the job was cancelled by ada"),
        (r"killed by (?:the )?user", "killed by user ada"),
        (r"received sigint", "received SIGINT, leaving"),
        use="by_hand",
    ),
    *_rows(
        C.CODE_ERROR, "confirmation",
        (r"^usage:", "usage: train.py [-h] --data DATA"),
        (r": error: ", "train.py: error: argument --lr: invalid float value: 'fast'"),
        (r"unrecognized arguments", "unrecognized arguments: --lrr"),
        (r"invalid choice", "argument --model: invalid choice 'cn'"),
        use="usage",
    ),
)  # fmt: skip

ADVICE = (
    *_rows(
        None, "advice",
        (r"\b(?:may|might|could)(?: also)? (?:be|have been)\b", "this may be caused by the loader"),
        (r"it is possible that", "It is possible that the loader has died"),
        (r"\bpossibly\b", "possibly the loader has died"),
        (r"\bconsider\b", "Consider a smaller batch"),
        (r"\b(?:please )?try (?:to|setting|reducing)\b", "Please try reducing the batch"),
        (r"^\s*hint\b", "hint: look at the loader"),
        (r"for debugging", "For debugging, pass CUDA_LAUNCH_BLOCKING=1"),
        (r"\bsee also\b", "see also the notes on fragmentation"),
        use="sentence",
    ),
    *_rows(
        None, "advice",
        (r"\bwarn(?:ing)?\b", "WARNING: slow shard 7"),
        (r"\b(?:info|debug)\b", "INFO: epoch 3 begins"),
        (r"\bretry(?:ing)?\b", "shard 7 failed, retrying in 5 s"),
        (r"\breconnect(?:ed|ing)\b", "reconnected to the store"),
        (r"\brecovered\b", "the loader has recovered"),
        use="line",
    ),
)  # fmt: skip

ROWS = (*DEVICES, *SERVICES, *PROGRAMS, *CONFIRMED, *ADVICE)
