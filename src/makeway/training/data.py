"""Give each worker its part of each step's batch, in one order that all share.

The order of an epoch is a permutation that follows from (seed, epoch) alone, so it is the same for any
number of workers, and after any restart. The cursor says how many samples of the epoch are done; it
is saved with the model, and whoever goes on with other workers goes on at the next sample.

Takes:   a dataset with `len` and `[]`; global_batch (samples of a step, over all workers), or
         per_worker (then the batch grows with the workers); max_per_worker at once
Gives:   (batch, n) a part: what the dataset's items collate to, and the samples that are counted
Raises:  InvalidInput, for a batch that cannot be divided, or a dataset without items
Holds:   each sample once an epoch · the same batches whatever the number of workers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from makeway.errors import InvalidInput
from makeway.training.batch import Part, Split

Collate = Callable[[list[Any]], Any]
Items = Any  # whatever has len and []: torch is not there when this is imported


class Data:
    """The samples of one worker; see the module. Made by `Session.loader`."""

    def __init__(
        self,
        dataset: Items,
        split: Split,
        rank: int,
        seed: int,
        collate: Collate | None = None,
    ) -> None:
        """Take the dataset and how a step is divided."""
        self.samples_an_epoch = len(dataset)
        if self.samples_an_epoch == 0:
            raise InvalidInput("the dataset has no items", where="dataset")
        self.split, self.rank, self._seed = split, rank, seed
        self._dataset, self._collate = dataset, collate
        self.epoch = self.cursor = self.steps = self.samples = self.last_batch = 0
        self.part: Part | None = None
        self.first_part = True
        self._order: Sequence[int] = ()
        self._order_of = -1
        self._open = 0  # samples of the step that is under way

    # ── going through it ──────────────────────────────────────────────────────────────────────────

    def until(
        self, *, epochs: float | None = None, steps: int | None = None, samples: int | None = None
    ) -> Iterator[tuple[Any, int]]:
        """Give parts until so much is done, counted from the very beginning of the training."""
        if epochs is None and steps is None and samples is None:
            raise InvalidInput("say for how long: epochs=, steps= or samples=", where="until")
        while not self._over(epochs, steps, samples):
            yield from self._step()

    def every(
        self, *, steps: int | None = None, epochs: int | None = None, samples: int | None = None
    ) -> bool:
        """Say whether the step that has just ended is one after which it is time again."""
        if self.part is not None and not self.part.last:
            return False
        if epochs is not None:
            return self.cursor == 0 and self.epoch % epochs == 0
        if samples is not None:
            return self.samples // samples > (self.samples - self.last_batch) // samples
        return steps is not None and self.steps > 0 and self.steps % steps == 0

    @property
    def epochs(self) -> float:
        """Give how many epochs are done, with their fraction."""
        return self.epoch + self.cursor / self.samples_an_epoch

    def _over(self, epochs: float | None, steps: int | None, samples: int | None) -> bool:
        return (
            (epochs is not None and self.epochs >= epochs)
            or (steps is not None and self.steps >= steps)
            or (samples is not None and self.samples >= samples)
        )

    def _step(self) -> Iterator[tuple[Any, int]]:
        order, begun = self._permutation(), self.cursor
        self._open = min(self.split.batch, self.samples_an_epoch - begun)
        for part in self.split.parts(self.rank, begun, self.samples_an_epoch):
            self.first_part, self.part = self.part is None or self.part.last, part
            yield self._batch(order[part.begin : part.end]), part.counted
        self.finish()

    def finish(self) -> None:
        """Count the step that is done; what is saved from here on goes on after it."""
        samples, self._open = self._open, 0
        if samples == 0:
            return
        self.last_batch = samples
        self.steps += 1
        self.samples += samples
        self.cursor += samples
        if self.cursor >= self.samples_an_epoch:
            self.epoch, self.cursor = self.epoch + 1, 0

    def _permutation(self) -> Sequence[int]:
        if self._order_of != self.epoch:
            import torch

            generator = torch.Generator()
            generator.manual_seed((self._seed * 1_000_003 + self.epoch) % 2**63)
            self._order = torch.randperm(self.samples_an_epoch, generator=generator)
            self._order_of = self.epoch
        return self._order

    def _batch(self, places: Any) -> Any:  # noqa: ANN401 - whatever the dataset's items are
        from torch.utils.data import TensorDataset, default_collate

        if isinstance(self._dataset, TensorDataset) and self._collate is None:
            return [tensor[places] for tensor in self._dataset.tensors]
        items = [self._dataset[place] for place in places.tolist()]
        return (self._collate or default_collate)(items)

    # ── kept with the model ───────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, int]:
        """Give where it stands."""
        return {
            "epoch": self.epoch, "cursor": self.cursor, "steps": self.steps,
            "samples": self.samples, "seed": self._seed, "length": self.samples_an_epoch,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there; only with the same dataset."""
        if state["length"] != self.samples_an_epoch:
            raise InvalidInput(
                f"what was saved had gone through {state['length']} samples an epoch, "
                f"this dataset has {self.samples_an_epoch}",
                where="dataset",
                hint="train on the same data, or begin anew in another folder",
            )
        self.epoch, self.cursor = state["epoch"], state["cursor"]
        self.steps, self.samples, self._seed = state["steps"], state["samples"], state["seed"]
        self._order_of, self._open = -1, 0
