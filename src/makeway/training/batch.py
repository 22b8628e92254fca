"""Divide a global batch among the workers, so that their number changes nothing in the result.

Worker i of n takes b_i = B // n + (i < B % n) of the B samples of a step, in the one order that all
workers share. What is more than a worker's memory takes is done in parts, whose gradients add up;
only the last part of a step is averaged over the workers, so they need not have equally many. DDP
averages over n workers, while the loss is a sum over B samples: each worker multiplies its sum by
n / B. The cursor counts samples, never steps, so that whoever goes on with another n goes on at the
very sample.

Where fewer samples are left than there are workers, those without one compute a sample of another
worker, of weight 0: their gradients are nothing, and nobody waits for them.

Takes:   B samples a step, n workers, rank i; the largest part that one worker computes at once
Gives:   which positions of the epoch's order this worker takes, in which parts, with which weight
Raises:  InvalidInput, for B < n: a worker without samples would only cost the others time
Holds:   each position of an epoch is taken by exactly one worker with a weight that is not 0 ·
         the weighted mean over the workers is the mean over the samples, for every n
Source:  one batch, whatever the number of workers: Goyal et al. 2017 (arXiv 1706.02677), sec. 2.3
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from makeway.errors import InvalidInput


class Part(msgspec.Struct, frozen=True):
    """What one worker computes at once: positions [begin, end) of the epoch's order.

    weight  by which the sum of its losses is multiplied before `backward`
    last    gradients are averaged over the workers after it, and the optimizer steps
    """

    begin: int
    end: int
    weight: float
    last: bool

    @property
    def counted(self) -> int:
        """Count the samples that this part adds to the step."""
        return self.end - self.begin if self.weight else 0


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """How a step's batch is divided: `batch` samples among `workers`, at most `part_max` at once."""

    batch: int
    workers: int
    part_max: int

    def __post_init__(self) -> None:
        """Refuse what cannot be divided."""
        if self.workers < 1 or self.part_max < 1:
            raise InvalidInput("at least one worker and one sample at once", where="split")
        if self.batch < self.workers:
            raise InvalidInput(
                f"a global batch of {self.batch} cannot be divided among {self.workers} workers",
                where="global_batch",
                hint=f"ask for at most {self.batch} workers, or for a larger batch",
            )

    def share(self, rank: int, left: int) -> int:
        """Count the samples of a worker in a step for which `left` samples are left."""
        whole, over = divmod(min(self.batch, left), self.workers)
        return whole + (rank < over)

    def offset(self, rank: int, left: int) -> int:
        """Count the samples of the workers before this one."""
        whole, over = divmod(min(self.batch, left), self.workers)
        return whole * rank + min(rank, over)

    def parts(self, rank: int, cursor: int, samples: int) -> Iterator[Part]:
        """Give what a worker computes in the step that begins at `cursor` of `samples`."""
        left = samples - cursor
        step = min(self.batch, left)
        assert step > 0, "nothing is left of this epoch"
        count = self.share(rank, left)
        if count == 0:
            yield Part(cursor, cursor + 1, 0.0, last=True)
            return
        begin = cursor + self.offset(rank, left)
        weight = self.workers / step
        parts = -(-count // self.part_max)
        whole, over = divmod(count, parts)
        for number in range(parts):
            end = begin + whole + (number < over)
            yield Part(begin, end, weight, last=number == parts - 1)
            begin = end
