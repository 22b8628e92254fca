"""Tag entities: tell whether a name is that of a person, a place or an organisation.

Three models learn it from the same names, the best two are served, and a person sees what both
say together. Run it with `makeway run flow.py`; README.md tells more.
"""

import torch

import makeway as mw
from ddp_training import SEED, fit, process_group
from entity_names import Dataset, build_dataset
from lost_connection import query_dying_database
from tag_server import Answer, ask, serving
from tag_table import tag_table
from taggers import MODELS, untrained

# Some plain, some that could be either.
REQUESTS = [
    "Virginia Woolf",
    "Tennessee Williams",
    "Katherine Johnson",
    "Alan Turing",
    "Timbuktu",
    "Reykjavík",
    "Lake Victoria",
    "San Sebastián de los Reyes",
    "Siemens Mobility GmbH",
    "Max Planck Institute",
    "Bell Labs",
    "Charlotte",
]


@mw.step(memory="400MB")
def ingest(leave_out: list[str]) -> Dataset:
    """Gather real names from installed packages, clean and split them."""
    data = build_dataset(leave_out)
    mw.log_params({split: len(data[f"{split}_names"]) for split in ("train", "test")})
    return data


@mw.step(workers=2, cpus=0.5, memory="600MB")
def train(data: Dataset, model: str, epochs: int, *, lose_connection: bool) -> mw.Model:
    """Train one model by two workers; on demand, its first attempt fails half-way."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    tagger = untrained(model)

    def midway() -> None:
        if lose_connection and mw.current.attempt == 1 and mw.current.rank == 0:
            query_dying_database()

    with process_group():
        accuracy = fit(tagger, data, epochs, midway)
    content = {"kind": model, "state": tagger.state_dict()}
    return mw.log_model(content, name=model, metrics={"accuracy": accuracy})


@mw.step(cpus=0.5, memory="600MB")
def serve(model: mw.Model, requests: list[str]) -> list[Answer]:
    """Serve a model over HTTP for as long as it takes to answer all requests."""
    torch.set_num_threads(1)
    content = model.load()
    tagger = untrained(content["kind"])
    tagger.load_state_dict(content["state"])
    with serving(model.name, tagger.eval()) as address:
        return ask(address, requests)


@mw.step
def aggregate(answers: list[list[Answer]]) -> str:
    """Combine what all served models said."""
    return tag_table(answers)


@mw.workflow
def entity_tagging(epochs: int = 4, lose_connection: str = "") -> str:
    """Ingest names, train three models, serve the best two, show what they say together."""
    data = ingest(leave_out=REQUESTS)
    models = [
        train.options(name=f"train-{model}")(
            data, model, epochs, lose_connection=model == lose_connection
        )
        for model in MODELS
    ]
    best = mw.select_top(models, k=2, metric="accuracy", min=0.90)
    answers = [serve(model, REQUESTS) for model in best.slots(2)]
    return aggregate(answers)
