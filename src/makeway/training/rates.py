"""Adapt the learning rate to the global batch: by which factor, from which sample on.

S = B / B0 says how many times larger the batch is than the one that the rate was tuned for.

    fixed     1: the batch stays as it was tuned, whatever the number of workers
    linear    S: for SGD, while the noise of gradients is what limits them
    sqrt      the root of S: for Adam and its kin, or a cautious SGD
    adascale  r, the gain by the measured noise of gradients, 1 <= r <= S; the schedule advances by r

A batch that changes on the way is a shock: the factor goes from what it is to what it shall be in
a straight line over max(100 steps, half an epoch). All of it is counted in samples, never in
steps, since a step is another number of samples with each number of workers.

Takes:   rule; S; for adascale gradients' squared norms, of K workers' own and of their mean
Gives:   factor by which the tuned rate is multiplied
Raises:  InvalidInput, for a rule that is none
Holds:   a factor is never below 1 for S >= 1, nor above S · a ramp is monotone
Source:  linear and warm-up: Goyal et al. 2017 (arXiv 1706.02677), sec. 2; root: You et al., LEGW,
         2019 (arXiv 1901.08256); gain: Johnson et al., AdaScale SGD, ICML 2020, sec. 3
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from makeway.errors import InvalidInput

RULES = ("fixed", "linear", "sqrt", "adascale")
RAMP_STEPS, RAMP_EPOCHS = 100, 0.5
SMOOTHING = 0.999


def check_rule(rule: str) -> str:
    """Refuse a rule that is none."""
    if rule not in RULES:
        raise InvalidInput(
            f"{rule!r} is no rule for the learning rate", where="rule",
            hint=f"one of {', '.join(RULES)}, or a function (samples, epoch, batch, workers)",
        )  # fmt: skip
    return rule


def target(rule: str, scale: float, gain: float = 1.0) -> float:
    """Give the factor that a rule wants for a batch `scale` times as large as the tuned one."""
    match check_rule(rule):
        case "fixed":
            return 1.0
        case "linear":
            return scale
        case "sqrt":
            return math.sqrt(scale)
        case _:
            return gain


class Ramp(msgspec.Struct, frozen=True):
    """A straight way from one factor to another, between two counts of samples."""

    begin: float
    end: float
    since: int
    until: int

    def at(self, samples: int) -> float:
        """Give the factor at a count of samples."""
        if samples >= self.until:
            return self.end
        if samples <= self.since:
            return self.begin
        part = (samples - self.since) / (self.until - self.since)
        return self.begin + (self.end - self.begin) * part

    def turned(self, end: float, samples: int, batch: int, epoch: int) -> Ramp:
        """Give the way on from here to another factor, for batches and an epoch of so many samples."""
        if end == self.end:
            return self
        length = max(RAMP_STEPS * batch, int(RAMP_EPOCHS * epoch))
        return Ramp(self.at(samples), end, samples, samples + length)


def steady(factor: float) -> Ramp:
    """Give a ramp that is at its end."""
    return Ramp(factor, factor, 0, 0)


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """How noisy gradients are, smoothed: `signal` |E g|^2, `variance` of one tuned batch's gradient.

    Both are kept biased towards 0 as exponential means are; `weight` is what is missing.
    """

    signal: float = 0.0
    variance: float = 0.0
    weight: float = 0.0

    def seen(self, norms: Sequence[float], mean_norm: float, scale: float) -> Noise:
        """Take one step: the squared norms of K gradients, and that of their mean, at scale S."""
        count = len(norms)
        average = sum(norms) / count if count else math.nan
        if count < 2 or not math.isfinite(average) or not math.isfinite(mean_norm):
            return self
        signal = (count * mean_norm - average) / (count - 1)
        variance = max(0.0, (average - mean_norm) * scale / (count - 1))
        keep = SMOOTHING ** max(scale, 1.0)
        return Noise(
            signal=keep * self.signal + (1 - keep) * signal,
            variance=keep * self.variance + (1 - keep) * variance,
            weight=keep * self.weight + (1 - keep),
        )

    def gain(self, scale: float) -> float:
        """Give r: by how many tuned batches' worth one step advances at this scale."""
        if self.weight == 0 or scale <= 1:
            return 1.0
        signal = max(self.signal / self.weight, 0.0)
        variance = self.variance / self.weight
        if signal + variance == 0:
            return 1.0
        gain = (variance + signal) / (variance / scale + signal)
        return min(max(gain, 1.0), scale)
