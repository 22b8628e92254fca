"""Two trainings that lose their connection at 38 %: one is worth going on with, the other is not.

The accuracy of `declining` fell from 30 % to 27 % before it failed, and it says by its goal that more
is better: it is not tried again. That of `rising` went up, so it is tried again and goes on from what
it had saved.
"""

import json
import os
import time
from pathlib import Path

import makeway as mw

STEPS = 50
SAVED = "saved.json"
GOAL = mw.Goal("accuracy", target=0.9)


@mw.step(cpus=0.2, goal=GOAL)
def train(first: float, gain: float) -> float:
    saved = Path(os.environ["MAKEWAY_CHECKPOINT"]) / SAVED
    saved.parent.mkdir(exist_ok=True)
    begun = json.loads(saved.read_text("utf-8"))["step"] if saved.exists() else 0
    print(f"goes on from step {begun}", flush=True)
    accuracy = first
    for step in range(begun, STEPS):
        accuracy = first + gain * step
        mw.progress(step + 1, STEPS)
        if step % 5 == 0:
            mw.log_metric("accuracy", accuracy, step=step)
            saved.write_text(json.dumps({"step": step}), encoding="utf-8")
        if step == 18 and mw.current.attempt == 1:
            raise ConnectionResetError(104, "Connection reset by peer")
        time.sleep(0.02)
    return accuracy


@mw.workflow
def not_improving() -> list[float]:
    rising = train.options(name="rising")(0.30, 0.012)
    train.options(name="declining")(0.30, -0.002)
    return [rising]
