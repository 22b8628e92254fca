"""What scripts ask of Weights & Biases, recorded by makeway: `import makeway.compat.wandb as wandb`.

    init, config, log, summary, watch, save, log_artifact(path), finish, run

A dict in a dict becomes names with slashes. What is no number (a picture, a table, a histogram) is
left out: nothing here fails a training. Outside makeway nothing is recorded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from makeway.errors import InvalidInput
from makeway.worker import noting
from makeway.worker import recorder as _recorder
from makeway.worker.context import current


class Config(dict[str, Any]):
    """Parameters, as attributes and as items; each is recorded when it is set."""

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever it is given
        super().__setitem__(name, value)
        with contextlib.suppress(InvalidInput):
            noting.log_param(str(name), value)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as above
        self[name] = value

    def update(self, *others: Any, allow_val_change: bool = True, **more: Any) -> None:  # noqa: ANN401, ARG002
        """Set several; a parser's namespace will do."""
        for other in (*others, more):
            for name, value in (other if isinstance(other, Mapping) else vars(other)).items():
                self[name] = value

    def setdefaults(self, values: Mapping[str, Any]) -> None:
        """Set those that are not set."""
        self.update({name: value for name, value in values.items() if name not in self})


class Summary(dict[str, Any]):
    """Final values; each is recorded when it is set."""

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever it is given
        super().__setitem__(name, value)
        _record({name: value}, None)

    def update(self, *others: Any, **more: Any) -> None:  # noqa: ANN401 - as of a dict
        """Set several."""
        for name, value in dict(*others, **more).items():
            self[name] = value


class Run:
    """The step that runs here, as a run of Weights & Biases."""

    def __init__(self) -> None:
        """Begin with nothing set."""
        self.config, self.summary, self.step = Config(), Summary(), 0

    @property
    def id(self) -> str:
        """Name the step, and the run that it belongs to."""
        return os.environ.get("MAKEWAY_JOB", "")

    @property
    def name(self) -> str:
        """Name the step."""
        return current.step or ""

    def log(self, data: Mapping[str, Any], step: int | None = None, **_more: Any) -> None:  # noqa: ANN401
        """Record metrics; without a step they are of the next one."""
        if step is None:
            step, self.step = self.step, self.step + 1
        else:
            self.step = max(self.step, step + 1)
        _record(data, step)

    def log_artifact(self, path: Any, name: str | None = None, **_more: Any) -> None:  # noqa: ANN401
        """Keep a file or folder; other objects are left out."""
        if isinstance(path, str | os.PathLike) and Path(path).exists():
            noting.log_artifact(path, name)

    save = log_artifact

    def finish(self, *_given: Any, **_more: Any) -> None:  # noqa: ANN401 - whatever it is given
        """Send what is kept; the step ends when its program does."""
        recorder = _recorder.current()
        if recorder is not None:
            recorder.flush(1.0)

    def watch(self, *_given: Any, **_more: Any) -> None:  # noqa: ANN401 - whatever it is given
        """Do nothing: gradients are not recorded."""

    define_metric = alert = mark_preempting = watch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.finish()


run = Run()
config, summary = run.config, run.summary
log, log_artifact, save, finish = run.log, run.log_artifact, run.save, run.finish
watch = define_metric = alert = run.watch


def init(
    project: str | None = None,
    config: Any = None,  # noqa: ANN401 - a dict, a namespace, None
    tags: Any = (),  # noqa: ANN401 - a list of words, None
    **more: Any,  # noqa: ANN401 - entity, mode, dir and the like say nothing here
) -> Run:
    """Begin: the project, the group, the name and the tags become tags of the step."""
    said = {"project": project, **{key: more.get(key) for key in ("group", "name", "job_type")}}
    for key, value in said.items():
        if isinstance(value, str) and value:
            noting.set_tag(key, value)
    for tag in tags or ():
        noting.set_tag(str(tag), "true")
    if config is not None:
        run.config.update(config)
    run.step = 0
    return run


def login(*_given: Any, **_more: Any) -> bool:  # noqa: ANN401 - whatever it is given
    """Say yes: nobody has to log in."""
    return True


def _record(data: Mapping[str, Any], step: int | None) -> None:
    recorder = _recorder.current()
    if recorder is not None:
        for name, value in _flat("", data):
            with contextlib.suppress(InvalidInput):
                recorder.metric(name, value, step)


def _flat(prefix: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}/", value)
        else:
            yield f"{prefix}{key}", value
