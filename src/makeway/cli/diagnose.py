"""Say why an attempt failed and what is to be done about it, from a document of evidence."""

from __future__ import annotations

import click

from makeway.cli.output import OUTPUT, print_data
from makeway.model.record import Decision, Diagnosis


@click.command()
@click.option(
    "--evidence-file",
    metavar="FILE",
    required=True,
    help="What is known of one attempt, in YAML or JSON; docs/diagnosis.md describes it.",
)
@OUTPUT
def diagnose(evidence_file: str, output: str) -> None:
    """Name the cause of a failure, its evidence, and what is to be done about it.

    The exit code is 0 whenever there is a diagnosis, also where nothing is wrong.
    """
    from makeway.cli.diagnosefile import read_incident
    from makeway.health.judge import judge
    from makeway.health.remedy import remedy
    from makeway.wire.diagnosis import written

    judgement = judge(read_incident(evidence_file))
    decision = remedy(judgement)
    match output:
        case "table" | "wide":
            print_diagnosis(judgement.diagnosis, decision)
        case "name":
            click.echo(judgement.diagnosis.cause.value)
        case _:
            print_data(written(judgement.diagnosis, decision), output)


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
