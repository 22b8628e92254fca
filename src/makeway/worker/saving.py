"""Save work, so that whatever comes next goes on from it: `mw.checkpoint`.

What is saved is a folder. It is published whole or not at all, and a process that was replaced while
it slept publishes nothing any more (`store.checkpoint`). All attempts of a step share one place,
MAKEWAY_CHECKPOINT; outside makeway that is `checkpoint` in the current folder.

Which to load, as in Metaflow:

    fresh   the last one of this step in this run: what an earlier attempt has saved
    eager   that one, or else the last one of the same step in any earlier run of this store

Raises:  InvalidInput: no such folder · Conflict: a later attempt has saved already
Cost:    `save` copies the folder and reads it once for the digests; `load` reads it once
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from makeway.errors import InvalidInput
from makeway.worker.recorder import current

POLICIES = ("fresh", "eager")


class Checkpoints:
    """The saved work of this step; see the module."""

    def save(
        self, folder: str | os.PathLike[str], step: object, progress: float | None = None
    ) -> Path:
        """Publish a copy of what is in the folder, as the work up to this step.

        Of several workers, one does it: rank 0, if each has the whole.
        """
        from makeway.store.checkpoint import publish

        source = Path(folder)
        if not source.is_dir():
            raise InvalidInput("this is no folder, so it cannot be saved", where=str(source))
        if not isinstance(step, int) or step < 0:
            raise InvalidInput(f"step is {repr(step)[:60]}, which is no whole number from 0")
        saved = publish(
            _place(),
            lambda torn: _copy(source, torn),
            step=step,
            fence=int(os.environ.get("MAKEWAY_FENCE") or 0),
            progress=progress,
        )
        recorder = current()
        if recorder is not None:
            manifest = saved.manifest
            text = "".join(f"{name} {one.sha256}\n" for name, one in sorted(manifest.files.items()))
            value = {
                "digest": hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
                "size_bytes": sum(one.size_bytes for one in manifest.files.values()),
                "kind": "checkpoint",
                "step": step,
                "progress": progress,
                "where": str(saved.path),
            }
            recorder.note("checkpoint", saved.path.name, value)
        return saved.path

    def latest(self, policy: str = "fresh") -> tuple[Path, int] | None:
        """Give the folder and the step of what was saved last; None if there is nothing."""
        from makeway.store.checkpoint import latest

        if policy not in POLICIES:
            raise InvalidInput(
                f"{policy!r} is no policy", where="checkpoint", hint=f"one of {', '.join(POLICIES)}"
            )
        found = latest(_place())
        if found is None and policy == "eager":
            others = [one for place in _elsewhere() if (one := latest(place)) is not None]
            found = max(others, key=lambda one: one.manifest.at_ms, default=None)
        return None if found is None else (found.path, found.manifest.step)

    def load(self, policy: str = "fresh") -> Path | None:
        """Give the folder of what was saved last and is as it was saved; None to begin anew.

        One that is damaged is passed over for the one before it.
        """
        from makeway.store.checkpoint import published

        found = self.latest(policy)
        if found is None:
            return None
        order = sorted(
            published(found[0].parent),
            key=lambda one: (one.manifest.fence, one.manifest.step, one.manifest.at_ms),
        )
        for one in reversed(order):
            with contextlib.suppress(InvalidInput):
                one.check()
                return one.path
        raise InvalidInput(
            "every checkpoint is damaged", where=str(found[0].parent),
            hint="remove them to begin anew",
        )  # fmt: skip


checkpoint = Checkpoints()


def _place() -> Path:
    return Path(os.environ.get("MAKEWAY_CHECKPOINT") or "checkpoint")


def _elsewhere() -> list[Path]:
    """Find where other runs have saved the work of this step."""
    store, step = os.environ.get("MAKEWAY_STORE"), os.environ.get("MAKEWAY_STEP")
    if not store or not step:
        return []
    own = _place()
    found = (one / step / own.name for one in Path(store, "workers").iterdir())
    return [place for place in found if place != own and place.is_dir()]


def _copy(source: Path, torn: Path) -> None:
    shutil.copytree(source, torn, dirs_exist_ok=True)
