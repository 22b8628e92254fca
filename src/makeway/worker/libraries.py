"""Record what other libraries know of a training, without code of the user's own.

    tqdm           the outermost bar is the series `progress`, until the program calls `mw.progress`
    Lightning      its logged metrics with their step, its hyperparameters, epochs as progress
    transformers   what `Trainer` logs, with its step, and how far it is

A library is met when it is imported, or at once if it is there already; one that is never imported
costs nothing but a look at each import. What goes wrong in here is not the training's trouble.

Takes:   a worker's process; `meet` is called once before the user's code
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from makeway.worker.noting import log_params
from makeway.worker.phases import expect_steps
from makeway.worker.recorder import current, log_metric


def meet() -> None:
    """Be there when one of the libraries is imported."""
    for name, adapt in ADAPTERS.items():
        if name in sys.modules:
            with contextlib.suppress(Exception):
                adapt(sys.modules[name])
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Find the modules that are adapted as everybody does, and adapt them once they are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Give the usual specification, with a loader that adapts."""
        adapt = ADAPTERS.get(fullname)
        if adapt is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                with contextlib.suppress(Exception):  # a version that looks otherwise
                    adapt(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec


def _after(owner: Any, name: str, then: Callable[..., None]) -> None:  # noqa: ANN401 - any class
    """Call `then` after a method, with what it was given; never twice."""
    method = getattr(owner, name)
    if getattr(method, "makeway", False):
        return

    @functools.wraps(method)
    def wrapped(self: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - of any method
        result = method(self, *given, **named)
        with contextlib.suppress(Exception):
            then(self)
        return result

    wrapped.makeway = True  # type: ignore[attr-defined]  # a mark of our own
    setattr(owner, name, wrapped)


# ── tqdm ────────────────────────────────────────────────────────────────────────────────────────────


def _tqdm(module: Any) -> None:  # noqa: ANN401 - the library's module
    _after(module.tqdm, "refresh", _bar)
    _after(module.tqdm, "close", _bar)


def _bar(bar: Any) -> None:  # noqa: ANN401 - a tqdm
    recorder = current()
    outermost = not getattr(bar, "disable", False) and abs(getattr(bar, "pos", 0)) == 0
    if recorder is not None and bar.total and outermost and not recorder.tells_progress:
        recorder.sample("progress", min(1.0, max(0.0, bar.n / bar.total)))


# ── what trainers log ───────────────────────────────────────────────────────────────────────────────


def _log(values: Any, step: int) -> None:  # noqa: ANN401 - a dict of whatever is logged
    for name, value in dict(values).items():
        with contextlib.suppress(Exception):  # what is no number is left out
            log_metric(str(name), value, step)


def _done(part: float) -> None:
    recorder = current()
    if recorder is not None and not recorder.tells_progress:
        recorder.sample("progress", min(1.0, max(0.0, part)))


def _lightning(module: Any) -> None:  # noqa: ANN401 - the library's module
    base = sys.modules[module.__name__.removesuffix("trainer.trainer") + "callbacks.callback"]

    class Recorded(base.Callback):  # type: ignore[name-defined, misc]  # found as it runs
        """Tell makeway what Lightning logs."""

        last = -1

        def on_train_start(self, trainer: Any, _module: Any) -> None:  # noqa: ANN401 - Lightning's
            expect_steps()
            with contextlib.suppress(Exception):
                log_params(dict(_module.hparams))
            del trainer

        def on_train_batch_end(self, trainer: Any, *_given: Any) -> None:  # noqa: ANN401 - Lightning's
            step = trainer.global_step
            if step % max(1, trainer.log_every_n_steps) == 0 and step != self.last:
                self.last = step
                _log({"epoch": trainer.current_epoch, **trainer.logged_metrics}, step)
                total = trainer.estimated_stepping_batches
                if 0 < total < float("inf"):
                    _done(step / total)

        def on_train_epoch_end(self, trainer: Any, *_given: Any) -> None:  # noqa: ANN401 - Lightning's
            _log(trainer.callback_metrics, trainer.global_step)

        def on_validation_end(self, trainer: Any, *_given: Any) -> None:  # noqa: ANN401 - Lightning's
            if not trainer.sanity_checking:
                _log(trainer.callback_metrics, trainer.global_step)

    _after(module.Trainer, "__init__", lambda trainer: trainer.callbacks.append(Recorded()))


def _transformers(module: Any) -> None:  # noqa: ANN401 - the library's module
    class Recorded(module.TrainerCallback):  # type: ignore[misc]  # found as it runs
        """Tell makeway what `Trainer` logs."""

        def on_train_begin(self, args: Any, _state: Any, _control: Any, **_more: Any) -> None:  # noqa: ANN401
            expect_steps()
            with contextlib.suppress(Exception):
                log_params(args.to_sanitized_dict())

        def on_log(
            self,
            _args: Any,  # noqa: ANN401 - as `Trainer` calls it
            state: Any,  # noqa: ANN401
            *_given: Any,  # noqa: ANN401
            logs: Any = None,  # noqa: ANN401
            **_more: Any,  # noqa: ANN401
        ) -> None:
            if state.is_world_process_zero:
                _log(logs or {}, state.global_step)

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_more: Any) -> None:  # noqa: ANN401
            if state.max_steps > 0:
                _done(state.global_step / state.max_steps)

    _after(module.Trainer, "__init__", lambda trainer: trainer.add_callback(Recorded()))


ADAPTERS: dict[str, Callable[[Any], None]] = {
    "tqdm.std": _tqdm,
    "lightning.pytorch.trainer.trainer": _lightning,
    "pytorch_lightning.trainer.trainer": _lightning,
    "transformers.trainer": _transformers,
}
