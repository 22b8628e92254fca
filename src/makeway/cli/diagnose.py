"""Say why an attempt failed and what is to be done about it, from what is known of it."""

from __future__ import annotations

import click

from makeway.cli.output import OUTPUT, print_data
from makeway.intake.evidence import incident_of
from makeway.intake.located import item_of
from makeway.model.record import Decision, Diagnosis


@click.command()
@click.argument("attempt_of", metavar="[ID]", required=False)
@click.option(
    "--evidence-file",
    metavar="FILE",
    help="What is known of one attempt, in YAML or JSON; docs/diagnosis.md describes it.",
)
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt (default: the last).")
@click.option("--evidence", is_flag=True, help="Print the document of evidence instead.")
@OUTPUT
@click.pass_context
def diagnose(
    ctx: click.Context,
    /,
    attempt_of: str | None,
    evidence_file: str | None,
    attempt: int | None,
    evidence: bool,
    output: str,
) -> None:
    """Name the cause of a failure, its evidence, and what is to be done about it.

    ID is a step or a job of the store; or FILE tells of an attempt anywhere. The exit code is 0
    whenever there is a diagnosis, also where nothing is wrong. The patterns and rules of failures in
    the configuration count.
    """
    if (attempt_of is None) == (evidence_file is None):
        raise click.UsageError("give either the ID of a step or job, or --evidence-file FILE")
    if evidence_file is not None and (evidence or attempt is not None):
        raise click.UsageError("--evidence and --attempt are for an ID")
    from makeway.cli.configured import configured
    from makeway.cli.diagnosefile import read_incident
    from makeway.health.judge import judge
    from makeway.health.ruled import decide
    from makeway.live.config import failures_in
    from makeway.wire.diagnosis import written

    if attempt_of is not None:
        document = _document(ctx, attempt_of, attempt)
        if evidence:
            print_data(document, "yaml" if output in ("table", "wide", "name") else output)
            return
        incident = incident_of(item_of(document, attempt_of))
    else:
        assert evidence_file is not None, "one of the two was given"
        incident = read_incident(evidence_file)
    failures = failures_in(configured({}, cluster=False).files)
    judgement = judge(incident, failures.patterns)
    decision = decide(judgement, failures.rules)
    match output:
        case "table" | "wide":
            print_diagnosis(judgement.diagnosis, decision)
        case "name":
            click.echo(judgement.diagnosis.cause.value)
        case _:
            print_data(written(judgement.diagnosis, decision), output)


def _document(ctx: click.Context, name: str, number: int | None) -> dict[str, object]:
    """Write what the store knows of an attempt; only here is a configuration needed."""
    from makeway.cli.connect import configure
    from makeway.cli.history import opened
    from makeway.errors import NotFound
    from makeway.store.evidence import document_of
    from makeway.store.resolve import resolve_execution, resolve_job

    configure(ctx, ctx.meta["makeway.given"])
    with opened(ctx) as database:
        try:
            job = resolve_execution(database, name)
        except NotFound:
            job = resolve_job(database, name)
        return document_of(database, job, number)


def print_diagnosis(diagnosis: Diagnosis, decision: Decision) -> None:
    """Print it for somebody who was woken: what it is, what to do, and only then why."""
    kind = f"{diagnosis.cause_class.value}, {diagnosis.confidence}"
    click.echo(f"{diagnosis.cause.value} ({kind})")
    click.echo(f"  {diagnosis.text}")
    hint = decision.hint or diagnosis.hint
    click.echo(f"\ndecision   {decision.action}: {decision.rule}")
    for name, text in _mutations(decision):
        click.echo(f"{name:<10} {text}")
    if hint:
        click.echo(f"hint       {hint}")
    if diagnosis.outlook is not None:
        click.echo(f"outlook    {diagnosis.outlook.verdict}: {diagnosis.outlook.text}")
    _print_list("evidence", [f"{one.text}  [{one.ref}]" for one in diagnosis.evidence])
    _print_list("ruled out", [f"{one.cause.value}: {one.why}" for one in diagnosis.ruled_out])
    cascade = [one.text if one.rank is None else f"rank {one.rank}: {one.text}"
               for one in diagnosis.cascade]  # fmt: skip
    _print_list("followed", cascade)


def _mutations(decision: Decision) -> list[tuple[str, str]]:
    from makeway.wire.diagnosis import written_decision

    plain = written_decision(decision)
    names = {"memory": "memory", "resume_from": "from", "exclude_nodes": "avoids",
             "rerun": "rerun", "replace_ranks": "replaces", "sample_interval": "samples"}  # fmt: skip
    shown = []
    for key, name in names.items():
        value = plain[key]
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        if key == "resume_from" and isinstance(value, float):
            value = f"{100 * value:g} %"
        if value not in (None, ""):
            shown.append((name, f"every {value}" if key == "sample_interval" else str(value)))
    if decision.after_ms:
        shown.append(("after", str(plain["after"])))
    return shown


def _print_list(name: str, lines: list[str]) -> None:
    if lines:
        click.echo(f"\n{name}")
    for line in lines:
        click.echo(f"  {line}")
