"""The workflow that the tests of the pages look at: two models are trained, a third cannot be."""

import time

import makeway as mw


@mw.step(cpus=0.25, memory="300MB")
def ingest() -> list[int]:
    """Make something to learn from."""
    print("<script>document.title = 'taken over'</script> is only text")
    return list(range(20))


@mw.step(cpus=0.25, memory="300MB")
def train(data: list[int], name: str, *, broken: bool) -> mw.Model:
    """Learn a little, and say how it goes."""
    for at in range(12):
        mw.log_metric("accuracy", 0.6 + 0.03 * at, step=at)
        mw.progress((at + 1) / 12)
        time.sleep(0.05)
        if broken and at == 8:
            raise KeyError("no column 'label' in the table")
    return mw.log_model({"name": name}, name=name, metrics={"accuracy": 0.93})


@mw.step(cpus=0.25, memory="300MB")
def serve(model: mw.Model) -> str:
    """Answer with a model."""
    return "it answers"


@mw.workflow
def tagging(broken: bool = True) -> list[str]:
    """Train three models and serve them."""
    data = ingest()
    names = ("crf", "lstm", "bert")
    models = [
        train.options(name=f"train-{name}")(data, name, broken=broken and name == "bert")
        for name in names
    ]
    return [
        serve.options(name=f"serve-{name}")(model)
        for name, model in zip(names, models, strict=True)
    ]
