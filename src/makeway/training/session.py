"""Hold one training together: who runs, which samples, which rate, when to stop.

    run   = init()                       all meet, or it is said who has not come
    model = run.ddp(model)               gradients are averaged, and it is measured who is slow
    data  = run.loader(ds, global_batch=256)
    sched = run.lr(opt, rule="fixed", base_batch=256)
    state = run.state(model=model, opt=opt, sched=sched, data=data); state.load()
    for batch, n in data.until(epochs=90):
        with run.step(n):
            opt.zero_grad(); (loss_sum(model, batch) * run.weight).backward(); opt.step()

Each call adds one ability and none needs another: a program that only calls `init` meets with a
deadline; with `step` it leaves at a step that all agree on; with `state` its work is saved then.

Between two parts of one step `zero_grad` and `step` of the optimizer do nothing, and gradients stay
where they are: the loop above is the same for a batch that is done in parts.

Raises:  NotReady, by init · InvalidInput, for what cannot be
Holds:   all workers leave after the same step · the optimizer steps once a step
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from makeway.errors import InvalidInput
from makeway.training.batch import Split
from makeway.training.data import Collate, Data, Items
from makeway.training.leaving import leave, part_ways
from makeway.training.meeting import DEADLINE_S, Meeting
from makeway.training.notice import LEAVE, Notice, Question
from makeway.training.place import Place, place_of
from makeway.training.schedule import Optimizer, Own, Rate, Schedule
from makeway.training.state import State
from makeway.training.timing import Timer

HANG_S = 30.0
PART_MAX = 1 << 30


class Told(Protocol):
    """Whoever takes what a training tells of itself; outside makeway nobody does."""

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Take a reading."""
        ...

    def note(self, kind: str, key: str, value: object) -> None:
        """Take a fact."""
        ...


class Session:
    """One worker's part in a training; made by `init`."""

    def __init__(self, place: Place, told: Told, device: Any) -> None:  # noqa: ANN401 - a torch device
        """Take who this worker is, and its device."""
        self.place, self.device = place, device
        self._told = told
        self._notice = Notice(place.folder)
        self._timer = Timer()
        self._group: Any = None
        self._question = Question(self._notice, None)
        self._data: Data | None = None
        self._rate: Rate | None = None
        self._state: State | None = None
        self._model: Any = None
        self._steps = 0
        self._resized: list[Callable[[Session], None]] = []

    # ── who runs ──────────────────────────────────────────────────────────────────────────────────

    @property
    def rank(self) -> int:
        """Give this worker's rank; it may be another one after a restart."""
        return self.place.rank

    @property
    def workers(self) -> int:
        """Count the workers."""
        return self.place.workers

    @property
    def weight(self) -> float:
        """Give what the sum of this part's losses is multiplied by, so that the mean is right."""
        part = None if self._data is None else self._data.part
        if part is None:
            raise InvalidInput("the weight is that of a part: ask for it within the loop over data",
                               where="weight")  # fmt: skip
        return part.weight

    def meet(self, backend: str, deadline_s: float, hang_s: float) -> None:
        """Meet with the others and form the group for gradients, and a small one for questions."""
        import torch.distributed as dist

        def tell(missing: object) -> None:
            self._told.note("waiting", "workers", missing)

        Meeting(self.place, backend, deadline_s, tell).meet(hang_s)
        self._group = dist.new_group(backend="gloo")
        atexit.register(part_ways)  # its threads must not outlive the interpreter
        self._question = Question(self._notice, self._group)

    # ── what is trained, on what ──────────────────────────────────────────────────────────────────

    def ddp(self, model: Any) -> Any:  # noqa: ANN401 - a torch module
        """Move a model to this worker's device, and average its gradients over the workers."""
        model = model.to(self.device)
        if self._group is not None:
            from torch.nn.parallel import DistributedDataParallel

            places = [self.device] if self.device.type == "cuda" else None
            model = DistributedDataParallel(model, device_ids=places)

            def hook(group, bucket):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - torch compares annotations
                return self._timer.hook(group, bucket)

            model.register_comm_hook(None, hook)
        self._model = model
        return model

    def loader(
        self, dataset: Items, *,
        global_batch: int | None = None, per_worker: int | None = None,
        max_per_worker: int = PART_MAX, seed: int = 0, collate: Collate | None = None,
    ) -> Data:  # fmt: skip
        """Divide a dataset among the workers.

        `global_batch` samples are a step, whatever the number of workers; or `per_worker` samples
        of each: then the batch grows with the workers, and the rate follows (`lr`).
        """
        if (global_batch is None) == (per_worker is None):
            raise InvalidInput("say either global_batch= or per_worker=", where="loader")
        batch = per_worker * self.workers if per_worker is not None else global_batch
        assert batch is not None, "one of the two is given"
        split = Split(batch=batch, workers=self.workers, part_max=max_per_worker)
        self._data = Data(dataset, split, self.rank, seed, collate)
        self._tell_change()
        return self._data

    def lr(
        self, optimizer: Optimizer, rule: str | Own = "fixed", *, base_batch: int | None = None,
        schedule: Schedule | None = None,
    ) -> Rate:  # fmt: skip
        """Let the learning rate follow the batch: `fixed`, `linear`, `sqrt`, `adascale`, or a function."""
        data = self._wanted_data("lr")
        self._rate = Rate(optimizer, rule, base_batch or data.split.batch, schedule)
        self._timer.norms = self._rate.rule == "adascale"
        self._hold_back(optimizer)
        self._rate.apply(data, self.workers)
        self._tell_change()
        return self._rate

    def state(self, **parts: Any) -> SavedState:  # noqa: ANN401 - whatever has a state_dict
        """Say what is saved together: `state(model=…, opt=…, sched=…, data=…)`."""
        self._state = State(self.place, parts)
        return SavedState(self._state, self)

    # ── a step ────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def step(self, samples: int | None = None) -> Iterator[None]:
        """Compute one part; after the last one of a step, tell, and leave if it is time to."""
        part = None if self._data is None else self._data.part
        last = part is None or part.last
        self._timer.begin()
        if last:
            self._question.ask()
            yield
            self._done(samples)
        else:
            quiet = getattr(self._model, "no_sync", contextlib.nullcontext)
            with quiet():
                yield
            self._timer.between()

    def _done(self, samples: int | None) -> None:
        data, rate = self._data, self._rate
        times = self._timer.end()
        self._steps += 1
        step = self._steps
        if data is not None:
            data.finish()
            step = data.steps
            samples = data.split.share(self.rank, data.last_batch)
            if rate is not None:
                self._measure_noise(rate, data, times.norm)
                rate.stepped(data)
                rate.apply(data, self.workers)
        for name, value in (
            ("step_ms", times.step_ms), ("local_ms", times.local_ms), ("wait_ms", times.wait_ms),
            ("data_ms", times.data_ms), ("items", float(samples or 0)),
        ):  # fmt: skip
            self._told.metric(name, value, step)
        if self._question.answered() == LEAVE:
            leave(self.place, self._notice, self._state, step, self._group)

    def _measure_noise(self, rate: Rate, data: Data, norm: float) -> None:
        """Gather how large each worker's own gradients were, and their mean."""
        if rate.rule != "adascale" or self._group is None:
            return
        import torch
        import torch.distributed as dist

        own = torch.tensor([norm], dtype=torch.float64)
        norms = [torch.zeros_like(own) for _ in range(self.workers)]
        dist.all_gather(norms, own, group=self._group)
        mean = sum(
            float(one.grad.square().sum())
            for one in self._model.parameters()
            if one.grad is not None
        )
        rate.seen([float(one) for one in norms], mean, data)

    @contextlib.contextmanager
    def section(self, name: str, limit: str | float | None = None) -> Iterator[None]:
        """Do something else than training: an evaluation, a save. It has a time limit of its own."""
        self._told.note("phase", name, {"limit": limit})
        try:
            yield
        finally:
            self._told.note("phase", "", None)
            self._timer.pause()

    def on_resize(self, call: Callable[[Session], None]) -> None:
        """Call this whenever the workers have become more or fewer while the program runs."""
        self._resized.append(call)

    # ── within ────────────────────────────────────────────────────────────────────────────────────

    @property
    def steps(self) -> int:
        """Count the steps that are done."""
        return self._steps if self._data is None else self._data.steps

    @property
    def progress(self) -> float | None:
        """Give the epochs that are done, if there is data."""
        return None if self._data is None else self._data.epochs

    def _wanted_data(self, where: str) -> Data:
        if self._data is None:
            raise InvalidInput("say first on what it trains: run.loader(…)", where=where)
        return self._data

    def _hold_back(self, optimizer: Optimizer) -> None:
        """Let the optimizer do nothing between two parts of one step."""
        step, clear = optimizer.step, optimizer.zero_grad

        def first() -> bool:
            part, data = self._data and self._data.part, self._data
            return data is None or part is None or data.first_part

        def held_step(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the optimizer's own
            part = self._data and self._data.part
            return step(*given, **named) if not part or part.last else None

        def held_clear(*given: Any, **named: Any) -> None:  # noqa: ANN401 - as the optimizer's own
            if first():
                clear(*given, **named)

        optimizer.step, optimizer.zero_grad = held_step, held_clear

    def _tell_change(self) -> None:
        """Write down what the training goes on with: step, samples, workers, batch, rate, rule."""
        data, rate = self._data, self._rate
        if self.rank != 0 or data is None:
            return
        self._told.note(
            "resize", f"{self.place.fence}.{self.place.generation}",
            {
                "step": data.steps, "samples": data.samples, "workers": self.workers,
                "batch": data.split.batch, "factor": 1.0 if rate is None else rate.factor,
                "rule": "fixed" if rate is None else rate.name,
            },
        )  # fmt: skip


class SavedState:
    """What `Session.state` gives: save and load, at the step where the training stands."""

    def __init__(self, state: State, session: Session) -> None:
        """Take both."""
        self._state, self._session = state, session

    def save(self) -> None:
        """Save now; only rank 0 writes. Raises Conflict, where this process was replaced."""
        saved = self._state.save(self._session.steps)
        if saved is not None:
            self._session._told.note(  # noqa: SLF001 - of one file
                "checkpoint", saved.path.name,
                {"step": saved.manifest.step, "progress": saved.manifest.progress},
            )  # fmt: skip
        self._session._timer.pause()  # noqa: SLF001 - of one file

    def load(self) -> bool:
        """Load what was saved last; False where there is nothing, and the training begins anew."""
        found = self._state.load()
        if found is not None and self._session._rate is not None:  # noqa: SLF001 - of one file
            self._session._rate.apply(self._session._wanted_data("load"), self._session.workers)  # noqa: SLF001
        self._session._tell_change()  # noqa: SLF001 - of one file
        return found is not None


def init(told: Told, *, deadline_s: float = DEADLINE_S, hang_s: float = HANG_S) -> Session:
    """Meet with all other workers; a plain program outside makeway is one worker on its own."""
    import torch

    place = place_of()
    here = torch.cuda.is_available()
    device = torch.device("cuda", place.local_rank % torch.cuda.device_count()) if here else (
        torch.device("cpu")
    )  # fmt: skip
    if here:
        torch.cuda.set_device(device)
    session = Session(place, told, device)
    if place.together and place.workers > 1:
        session.meet("nccl" if here else "gloo", deadline_s, hang_s)
    return session
