"""Say how far an attempt came, and whether one came further than another.

Progress, 0 to 1, is compared with progress, training steps with training steps; where two attempts
have told nothing of the same kind, which came further is unknown, and unknown is no answer.

Takes:   Scene, or an earlier attempt
Gives:   Reach; `further` of two: True, False, or None where that is unknown
"""

from __future__ import annotations

import msgspec

from makeway.health.rules.scene import Scene
from makeway.model.incident import Past


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far: as a part of the whole, as a training step, as both, or as neither."""

    part: float | None = None
    step: int | None = None

    @property
    def known(self) -> bool:
        """Say whether anything is known of it."""
        return self.part is not None or self.step is not None

    @property
    def told(self) -> str:
        """Say it to a person."""
        return f"step {self.step}" if self.part is None else f"{100 * self.part:.3g} %"


def further(one: Reach, other: Reach) -> bool | None:
    """Say whether one came further than the other."""
    if one.part is not None and other.part is not None:
        return one.part > other.part
    if one.step is not None and other.step is not None:
        return one.step > other.step
    return None


def furthest(many: list[Reach]) -> Reach:
    """Give how far the best of them came, in each kind."""
    parts = [one.part for one in many if one.part is not None]
    steps = [one.step for one in many if one.step is not None]
    return Reach(part=max(parts, default=None), step=max(steps, default=None))


def reached(scene: Scene) -> Reach:
    """Give how far the attempt came: what is saved, else what it reported."""
    incident, saved = scene.incident, saved_of(scene)
    series = incident.series("progress")
    part = saved.part if saved.part is not None or not series else series[-1].value
    return Reach(part=part, step=saved.step if saved.step is not None else incident.step_reached)


def reached_of(past: Past) -> Reach:
    """Give the same of an earlier attempt."""
    part = past.checkpoint if past.checkpoint is not None else past.progress
    return Reach(
        part=part, step=past.checkpoint_step if past.checkpoint_step is not None else past.step
    )


def saved_of(scene: Scene) -> Reach:
    """Give how far the work of the attempt is saved."""
    saved = scene.incident.checkpoint
    return Reach(part=saved.progress, step=saved.step)


def saved_before(scene: Scene) -> Reach:
    """Give how far the work was saved of any attempt before."""
    history = scene.incident.history
    return furthest([Reach(part=one.checkpoint, step=one.checkpoint_step) for one in history])


def saved_more(scene: Scene) -> bool:
    """Say whether more is saved than before; where nothing was saved before, anything is more."""
    now, before = saved_of(scene), saved_before(scene)
    if not before.known:
        before = Reach(part=0.0, step=0)
    return further(now, before) is True
