"""Name jobs, runs and workflows as MLflow's client lets them be named, and back again.

That client takes letters, digits, `_` and `-`, a letter or digit first, and is particular about
length. A job of a workflow is called `RUN.STEP`, and a step may have any letters. So every byte
beside letters, digits and `-` becomes `_` with two hexadecimal digits; what has none of them stays
as it is.

    0kx3v9ab12cd.train-2   ⇄   0kx3v9ab12cd_2etrain-2

Holds:   job_of(mlflow_id(job)) == job · two names never become one
"""

from __future__ import annotations

import hashlib
import re

JOBS = "jobs"  # the experiment of jobs that belong to no workflow
JOBS_ID = "0"  # what the client means when nobody has named an experiment
WORKFLOW, LONG, RUN = "w-", "x-", "r-"
EXPERIMENT_CHARS_MAX = 64

PLAIN = re.compile(rb"[A-Za-z0-9-]")
ESCAPED = re.compile(rb"_([0-9a-f]{2})")


def mlflow_id(job: str) -> str:
    """Give the name that a job has for MLflow's client."""
    each = (bytes([one]) for one in job.encode())
    return b"".join(one if PLAIN.match(one) else b"_%02x" % one[0] for one in each).decode()


def job_of(run_id: str) -> str:
    """Give the job that such a name stands for; a name that stands for none stays as it is."""
    plain = ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), run_id.encode(errors="replace"))
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return run_id


def experiment_of_run(run: str | None) -> str:
    """Name the experiment of a job by the run that it belongs to: that of the run's workflow."""
    return JOBS_ID if run is None else f"{RUN}{mlflow_id(run)}"


def experiment_of_workflow(workflow: str) -> str:
    """Name the experiment that a workflow is; a name too long for the client becomes its digest."""
    name = f"{WORKFLOW}{mlflow_id(workflow)}"
    if len(name) <= EXPERIMENT_CHARS_MAX:
        return name
    digest = hashlib.sha256(workflow.encode()).hexdigest()
    return f"{LONG}{digest}"[:EXPERIMENT_CHARS_MAX]
