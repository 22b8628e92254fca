"""Let a worker's program find the tracking endpoint, and say there for which worker it speaks.

Whoever serves the endpoint leaves a file in the store that only the owner of the store can read:
the address, and a key. From the key follows a token for each worker of each attempt; it is made
where the worker is started, so it stands in no file and no table, and it can be told from another
without being looked up. It opens nothing but the tracking endpoint, and only while the attempt
lasts.

    mww_FENCE_NUMBER_RANK_JOB_SIGNATURE     the job in hexadecimal digits

Raises:  nothing: where there is no endpoint, there are no variables
Source:  HMAC with SHA-256: RFC 2104
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from makeway.executor.folder import read_whole
from makeway.executor.protocol import Launch
from makeway.model.tracked import experiment_of_run, mlflow_id

FILE = "tracking.json"
MARK = "mww"
KEY_BYTES = 32
ELSEWHERE = "MLFLOW_TRACKING_URI"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where the endpoint of a store is, and the key of its tokens."""

    url: str
    key: str


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """For which worker a token speaks."""

    job: str
    number: int
    rank: int
    fence: int


def variables(launch: Launch, environment: Mapping[str, str]) -> dict[str, str]:
    """Give what MLflow's client needs; nothing where the program is told of another endpoint.

    `environment` is all that the worker will have beside: a token of ours is not for strangers.
    """
    endpoint = None if ELSEWHERE in environment else known_endpoint(Path(launch.store))
    if endpoint is None:
        return {}
    speaker = Speaker(job=launch.job, number=launch.number, rank=launch.rank, fence=launch.fence)
    return {
        ELSEWHERE: endpoint.url,
        "MLFLOW_TRACKING_TOKEN": token_of(speaker, endpoint.key),
        "MLFLOW_RUN_ID": mlflow_id(launch.job),
        "MLFLOW_EXPERIMENT_ID": experiment_of_run(launch.run),
    }


def token_of(speaker: Speaker, key: str) -> str:
    """Make the token of a worker."""
    job = speaker.job.encode().hex()
    body = f"{MARK}_{speaker.fence}_{speaker.number}_{speaker.rank}_{job}"
    return f"{body}_{_signature(body, key)}"


def speaker_of(token: str, key: str) -> Speaker | None:
    """Say for which worker a token speaks; None: we have not made it."""
    body, _, signature = token.rpartition("_")
    signed = hmac.compare_digest(_signature(body, key).encode(), signature.encode(errors="replace"))
    parts = body.split("_")
    if not signed or len(parts) != 5:
        return None
    _, fence, number, rank, job = parts
    return Speaker(
        job=bytes.fromhex(job).decode(), number=int(number), rank=int(rank), fence=int(fence)
    )


def known_endpoint(store: Path) -> Endpoint | None:
    """Read where the endpoint is."""
    with contextlib.suppress(OSError):
        return read_whole(store / FILE, Endpoint)
    return None


def note_endpoint(store: Path, url: str) -> Endpoint:
    """Leave the address for workers to come; the key stays what it was, as their tokens do."""
    known = known_endpoint(store)
    key = known.key if known is not None else secrets.token_hex(KEY_BYTES)
    endpoint = Endpoint(url=url, key=key)
    fresh = store / f".{FILE}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(endpoint))
    fresh.rename(store / FILE)
    return endpoint


def _signature(body: str, key: str) -> str:
    return hmac.new(key.encode(), body.encode(errors="replace"), hashlib.sha256).hexdigest()
