"""Save all that a training needs to go on, and load it: model, optimizer, rates, place in the data.

Rank 0 writes; a plain program outside makeway saves nothing. The folder is the job's own, and only a
whole checkpoint is ever there (store `checkpoint`). Names of parameters are those of the plain
model, so that it does not matter with how many workers they are loaded.

Takes:   whatever has `state_dict` and `load_state_dict`, by name
Gives:   `load`: the step from which it goes on, None where nothing was saved
Raises:  Conflict, by `save`: this process was replaced · InvalidInput, by `load`: what is saved is
         damaged, or lacks a part
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeway.errors import InvalidInput
from makeway.store.checkpoint import Checkpoint, latest, publish
from makeway.training.place import Place

FILE = "state.pt"


class State:
    """What is saved together; made by `Session.state`."""

    def __init__(self, place: Place, parts: dict[str, Any]) -> None:
        """Take the parts, and who this worker is."""
        for name, part in parts.items():
            if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
                raise InvalidInput(
                    f"{type(part).__name__} has no state_dict, so it cannot be saved", where=name
                )
        self.place, self._parts = place, parts
        self.last: Checkpoint | None = None

    def save(self, step: int, progress: float | None = None) -> Checkpoint | None:
        """Save now, at this step; only rank 0 writes."""
        if self.place.rank != 0 or self.place.checkpoint is None:
            return None
        self.last = publish(
            self.place.checkpoint, self._write, step=step, fence=self.place.fence, progress=progress
        )
        return self.last

    def load(self) -> int | None:
        """Load what was saved last, if there is anything."""
        found = None if self.place.checkpoint is None else latest(self.place.checkpoint)
        if found is None:
            return None
        found.check()
        import torch

        saved = torch.load(found.path / FILE, map_location="cpu", weights_only=True)
        missing = [name for name in self._parts if name not in saved]
        if missing:
            raise InvalidInput(
                f"what was saved at step {found.manifest.step} has no {', '.join(missing)}",
                where=str(found.path),
                hint="the program saves something else now: begin anew in another folder",
            )
        self.restore(saved)
        self.last = found
        return found.manifest.step

    def values(self) -> dict[str, Any]:
        """Give the state of every part."""
        import torch

        values = {name: plain(part).state_dict() for name, part in self._parts.items()}
        return {**values, "random": {"torch": torch.get_rng_state()}}

    def restore(self, values: dict[str, Any]) -> None:
        """Bring every part to this state."""
        for name, part in self._parts.items():
            try:
                plain(part).load_state_dict(values[name])
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise InvalidInput(
                    f"what was saved of it does not fit: {type(error).__name__}: {error}", where=name,
                    hint="the program trains something else now: begin anew in another folder",
                ) from error  # fmt: skip

    def _write(self, folder: Path) -> None:
        import torch

        torch.save(self.values(), folder / FILE)


def plain(part: Any) -> Any:  # noqa: ANN401 - whatever has a state
    """Give the model itself of one that is wrapped for data parallel training."""
    return getattr(part, "module", part) if hasattr(part, "require_backward_grad_sync") else part
