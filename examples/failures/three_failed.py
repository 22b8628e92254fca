"""Many trainings, each with a service behind it; three of them fail, each in its own way.

    makeway run three_failed.py
    makeway run-show @last

One look tells which failed, why, and what they hold up: `wide` has a mistake in it, `deep` breaks the
file that it reads, `tiny` comes up with a model that nobody can read. Their services never begin, nor
does what gathers all of them; the others are served.
"""

import json

import makeway as mw

GOOD = ("cnn", "rnn", "forest")


@mw.step(cpus=0.1)
def ingest() -> list[float]:
    return [0.1, 0.2, 0.3]


@mw.step(cpus=0.1)
def train(name: str, data: list[float]) -> dict[str, float]:
    mw.log_metric("accuracy", 0.9)
    if name == "wide":
        return {"mean": summ(data) / len(data)}  # noqa: F821 - the mistake
    if name == "deep":
        raise mw.Permanent("its licence has run out")
    if name == "tiny":
        json.loads("[0.1, 0.2,")
    return {"mean": sum(data) / len(data)}


@mw.step(cpus=0.1)
def serve(model: dict[str, float]) -> str:
    return f"it answers {model['mean']:.1f}"


@mw.step(cpus=0.1)
def gather(answers: list[str]) -> int:
    return len(answers)


@mw.workflow
def three_failed() -> int:
    data = ingest()
    answers = []
    for name in (*GOOD, "wide", "deep", "tiny"):
        model = train.options(name=f"train-{name}")(name, data)
        answers.append(serve.options(name=f"serve-{name}")(model))
    return gather(answers)
