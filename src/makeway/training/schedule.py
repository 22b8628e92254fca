"""Set the learning rate of an optimizer: its own, times what the batch asks for, times a schedule.

The rates that the optimizer was made with are those of the tuned batch, `base_batch`. A schedule is a
function of the epoch, with its fraction, and never of steps: so it means the same with any batch.
Under `adascale` it advances by the gain of each step instead of by the samples.

Takes:   optimizer, rule (or one's own function of samples, epoch, batch, workers), base_batch,
         schedule: epoch -> factor
Gives:   `factor` of the step to come; the optimizer's rates are set
Raises:  InvalidInput, for a rule that is none
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from makeway.errors import InvalidInput
from makeway.training.data import Data
from makeway.training.rates import Noise, Ramp, check_rule, steady, target

Own = Callable[[int, float, int, int], float]
Schedule = Callable[[float], float]
Optimizer = Any  # torch is not there when this is imported


class Rate:
    """The learning rate of one optimizer; made by `Session.lr`."""

    def __init__(
        self,
        optimizer: Optimizer,
        rule: str | Own,
        base_batch: int,
        schedule: Schedule | None,
    ) -> None:
        """Take the optimizer with the rates of the tuned batch."""
        if base_batch < 1:
            raise InvalidInput(
                f"a batch has at least one sample, not {base_batch}", where="base_batch"
            )
        self.rule = check_rule(rule) if isinstance(rule, str) else rule
        self.base_batch, self._schedule = base_batch, schedule
        self._optimizer = optimizer
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._ramp: Ramp | None = None
        self._noise = Noise()
        self._advanced = 0.0  # epochs, as the schedule counts them
        self.factor = 1.0

    @property
    def name(self) -> str:
        """Name the rule."""
        return self.rule if isinstance(self.rule, str) else getattr(self.rule, "__name__", "own")

    def seen(self, norms: list[float], mean_norm: float, data: Data) -> None:
        """Take the squared norms of the gradients of a step, for `adascale`."""
        if self.rule == "adascale":
            self._noise = self._noise.seen(norms, mean_norm, data.split.batch / self.base_batch)

    def stepped(self, data: Data) -> None:
        """Count a step that is done."""
        tuned = data.last_batch / data.samples_an_epoch
        scale = data.split.batch / self.base_batch
        gain = self._noise.gain(scale) if self.rule == "adascale" else scale
        self._advanced += tuned * gain / scale if self.rule == "adascale" else tuned

    def apply(self, data: Data, workers: int) -> float:
        """Set the rates for the step to come; give the factor of the batch alone."""
        self.factor = self._of_batch(data, workers)
        scheduled = 1.0 if self._schedule is None else self._schedule(self._advanced)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.factor * scheduled
        return self.factor

    def _of_batch(self, data: Data, workers: int) -> float:
        batch = data.split.batch
        if not isinstance(self.rule, str):
            return float(self.rule(data.samples, data.epochs, batch, workers))
        scale = batch / self.base_batch
        if self.rule == "adascale":  # measured, and smooth by itself
            return self._noise.gain(scale)
        wanted = target(self.rule, scale)
        if self._ramp is None:  # the very first step: there is nothing to come from
            self._ramp = steady(wanted)
        self._ramp = self._ramp.turned(wanted, data.samples, batch, data.samples_an_epoch)
        return self._ramp.at(data.samples)

    def state_dict(self) -> dict[str, Any]:
        """Give what the next factors depend on."""
        return {
            "rates": self._rates, "advanced": self._advanced,
            "ramp": None if self._ramp is None else msgspec.to_builtins(self._ramp),
            "noise": msgspec.to_builtins(self._noise),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._rates, self._advanced = list(state["rates"]), state["advanced"]
        ramp = state["ramp"]
        self._ramp = None if ramp is None else msgspec.convert(ramp, Ramp)
        self._noise = msgspec.convert(state["noise"], Noise)
