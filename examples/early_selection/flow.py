"""Serve what is good enough already, and take a better model when it comes.

Two models are trained quickly, one takes its time. As soon as two reach 90 %, they are served; the
slow one replaces the weaker of them later. Run it with `makeway run flow.py`; README.md tells more.
"""

import random
import time

import makeway as mw

SEED = 7
POINTS = 400


@mw.step(cpus=0.5)
def ingest() -> list[list[float]]:
    """Draw points in a square; whether one lies above the diagonal is to be learnt."""
    rng = random.Random(SEED)
    return [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(POINTS)]


@mw.step(cpus=0.5)
def train(points: list[list[float]], name: str, rounds: int, seconds: float) -> mw.Model:
    """Train a perceptron for some rounds, each of which takes its time."""
    weights = [1.0, 0.2]
    for number in range(rounds):
        for x, y in points:
            miss = _sign(x - y) - _sign(weights[0] * x + weights[1] * y)
            weights = [weights[0] + 0.01 * miss * x, weights[1] + 0.01 * miss * y]
        time.sleep(seconds / rounds)
        mw.log_metric("accuracy", _accuracy(weights, points), step=number)
        mw.progress(number + 1, rounds)
    return mw.log_model(weights, name, metrics={"accuracy": _accuracy(weights, points)})


@mw.step(cpus=0.5)
def serve(model: mw.Model, questions: list[list[float]]) -> str:
    """Answer some questions with one model."""
    weights = model.load()
    said = "".join("+" if weights[0] * x + weights[1] * y > 0 else "-" for x, y in questions)
    return f"{model.name} ({model.metrics['accuracy']:.1%}) says {said}"


@mw.step(cpus=0.5)
def show(answers: list[str]) -> str:
    """Put all answers together."""
    return "\n".join(answers)


@mw.workflow
def early_selection(slow_s: float = 8.0) -> str:
    """Train three models, serve the best two as soon as two qualify, take a better one later."""
    data = ingest()
    models = [
        train.options(name=f"train-{name}")(data, name, rounds, seconds)
        for name, rounds, seconds in (("coarse", 2, 0.1), ("quick", 3, 0.2), ("slow", 40, slow_s))
    ]
    best = mw.select_top(models, k=2, metric="accuracy", min=0.90, wait="qualified", reselect=True)
    questions = [[0.9, -0.5], [0.1, 0.08], [-0.4, 0.3], [0.5, 0.52]]
    return show([serve(model, questions) for model in best.slots(2)])


def _sign(value: float) -> int:
    return 1 if value > 0 else -1


def _accuracy(weights: list[float], points: list[list[float]]) -> float:
    good = sum(_sign(x - y) == _sign(weights[0] * x + weights[1] * y) for x, y in points)
    return good / len(points)
