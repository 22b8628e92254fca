"""A workflow as a user writes it, for a type checker: tests/test_public.py runs mypy on it.

`assert_type` says what a user's editor must know of each expression. A line that ends with an
ignored error must be one: mypy complains about an ignore that nothing needs.
"""

from typing import assert_type

import makeway as mw


@mw.step
def ingest() -> list[str]:
    """Take no settings."""
    return ["a"]


@mw.step(cpus=0.5, memory="1GB", goal=mw.Goal("accuracy", target=0.9), tags={"team": "vision"})
def train(data: list[str], name: str, *, epochs: int = 1) -> mw.Model:
    """Take settings, and arguments of every kind."""
    mw.log_metrics({"accuracy": 0.9, "loss": 1}, step=epochs)
    mw.log_params({"name": name, "data": data})
    mw.progress(1, epochs)
    return mw.log_model({"w": 1}, name=name, metrics={"accuracy": 0.9})


@mw.step(cache=mw.Cache(ttl="1h", ignore=["model"]), trigger="all_done")
def serve(model: mw.Model) -> dict[str, float]:
    """Take empty brackets."""
    return model.metrics


@mw.step
def store(answers: list[dict[str, float]]) -> mw.File:
    """Take a list of outputs."""
    return mw.File("answers")


sweep = mw.command("rm -rf {folder}", name="sweep", cpus=0.1)


@mw.workflow
def flow(names: list[str], least: float = 0.9) -> mw.File:
    """Build the graph of W2."""
    data = ingest()
    assert_type(data, list[str])
    models = [train.options(name=name, memory="2GB", after=data)(data, name) for name in names]
    assert_type(models, list[mw.Model])
    best = mw.select_top(models, k=2, metric="accuracy", min=least)
    assert_type(best.slots(), list[mw.Model])
    assert_type(best.slots(1), list[mw.Model])
    assert_type(best[0], mw.Model)
    early = mw.select_top(models, metric="accuracy", wait="qualified", reselect=True)
    assert_type(early[0], mw.Model)
    assert_type(mw.gather(models[0], models[1], wait="first"), list[mw.Model])
    assert_type(serve.map(models, min_success=0.5), list[dict[str, float]])
    sweep.options(memory="1GB")(folder="out")
    with mw.when(early[0]):
        train(data, "again")
    answers = [serve(model) for model in best]
    assert_type(answers, list[dict[str, float]])
    return store(answers)


@mw.workflow(on_failure="fail_fast")
def bracketed() -> int:
    """Take empty brackets."""
    return 1


assert_type(flow(["a"]), mw.File)
assert_type(bracketed(), int)
assert_type(train(["a"], "cnn", epochs=3), mw.Model)

mw.stpe  # type: ignore[attr-defined]  # noqa: B018 - there is no such name
train(["a"])  # type: ignore[call-arg]  # an argument is missing
train(["a"], 3)  # type: ignore[arg-type]  # it is of the wrong type
train(["a"], "cnn", epoch=3)  # type: ignore[call-arg]  # there is no such argument
train.options(memory="1GB")(3, "cnn")  # type: ignore[arg-type]  # likewise with settings
train.options(cpu=1)  # type: ignore[call-arg]  # there is no such setting
serve(ingest())  # type: ignore[arg-type]  # the output of another step is of the wrong type
flow("a")  # type: ignore[arg-type]  # a workflow keeps its types too
mw.select_top([train(["a"], "b")], metric="accuracy").slots("2")  # type: ignore[arg-type]  # a number
