"""Training one tagger by all workers of a step together: PyTorch's DistributedDataParallel.

Each worker reads its own share of every shuffled epoch; gloo averages their gradients, so all
hold the same weights after every update. The seeds are fixed: what differs between machines is
rounding.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch._dynamo  # the optimizers load it at their first use: a second, paid here once for all
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

import makeway as mw
from entity_names import Dataset

BATCH = 256
LEARNING_RATE = 0.02
REPORTS = 20
SEED = 7


@contextmanager
def process_group() -> Iterator[None]:
    """Connect the workers of this step; a step that is simply called is a group of one.

    The group is left alone after an error: taking it down would fail the other workers, too, and
    might bury the error that was the first.
    """
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    else:
        dist.init_process_group("gloo", "tcp://127.0.0.1:0", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def fit(tagger: nn.Module, data: Dataset, epochs: int, midway: Callable[[], None]) -> float:
    """Train the tagger in place and return its accuracy on the test names.

    The accuracy is measured after every epoch, but only to be looked at: it decides nothing
    here, neither when to stop nor which weights to keep.
    """
    names, kinds = _tensors(data, "train")
    steps = epochs * -(-len(names) // BATCH)
    replica = DistributedDataParallel(tagger)
    optimizer = AdamW(tagger.parameters(), weight_decay=0.0)
    schedule = OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    accuracy = 0.0
    for step, mine in enumerate(_shares(len(names), epochs), start=1):
        if step == steps // 2:
            midway()
        loss = functional.cross_entropy(replica(names[mine]), kinds[mine])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        _report(step, steps, loss)
        if step % (steps // epochs) == 0:
            accuracy = evaluate(tagger, data)
            mw.log_metric("accuracy", accuracy, step=step)
    return accuracy


def evaluate(tagger: nn.Module, data: Dataset) -> float:
    """Return the share of test names that are tagged rightly; every worker tags its part."""
    names, kinds = _tensors(data, "test")
    mine = slice(dist.get_rank(), None, dist.get_world_size())
    tagger.eval()
    with torch.inference_mode():
        guesses = torch.cat([tagger(part).argmax(dim=1) for part in names[mine].split(1024)])
    tagger.train()
    right = (guesses == kinds[mine]).sum()
    dist.all_reduce(right)
    return int(right.item()) / len(names)


def _tensors(data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    names, kinds = data[f"{split}_names"], data[f"{split}_kinds"]
    return torch.tensor(names, dtype=torch.long), torch.tensor(kinds, dtype=torch.long)


def _shares(count: int, epochs: int) -> Iterator[Tensor]:
    """Yield this worker's share of every batch of every epoch.

    All workers shuffle with the same seed and then take every n-th example, so that no example
    is seen twice in an epoch and a batch is as large with two workers as with one.
    """
    dice = torch.Generator().manual_seed(SEED)
    for _ in range(epochs):
        for batch in torch.randperm(count, generator=dice).split(BATCH):
            yield batch[dist.get_rank() :: dist.get_world_size()]


def _report(step: int, steps: int, loss: Tensor) -> None:
    """Tell now and then how far the training is and how wrong this worker's last batch was."""
    if step % max(1, steps // REPORTS) == 0 or step == steps:
        mw.progress(step, steps)
        mw.log_metric("loss", loss.item(), step=step)
