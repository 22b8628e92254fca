"""Find the command that was asked for; import only that one.

`makeway --help` must answer at once, so the table below knows each command's name, its place and
its one line, and everything else is imported when the command runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from makeway import __version__
from makeway.cli.codes import CTRL_C
from makeway.errors import MakewayError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "run": ("makeway.cli.flows:run", "Run a workflow here, with its own processes."),
    "resume": ("makeway.cli.resume:resume", "Go on with a run: only what is missing runs."),
    "runs": ("makeway.cli.history:runs", "List the runs, latest first."),
    "run-show": ("makeway.cli.history:run_show", "Show one run: its steps, selection, result."),
    "run-graph": ("makeway.cli.history:run_graph", "Draw the graph of a run, with its states."),
    "step": ("makeway.cli.samples:step", "Show one step: its attempts, logs, samples."),
    "submit": ("makeway.cli.submit:submit", "Bring a job to the service."),
    "queue": ("makeway.cli.queue:queue", "Show what runs and waits, in order of service."),
    "jobs": ("makeway.cli.queue:jobs", "List jobs, the newest first."),
    "job": ("makeway.cli.jobs:job", "Show one job, or act on it."),
    "cancel": ("makeway.cli.jobs:cancel", "Let jobs end."),
    "hold": ("makeway.cli.jobs:hold", "Keep jobs that wait from starting."),
    "keep": ("makeway.cli.jobs:keep", "Keep jobs going, whatever they seem to be worth."),
    "override": ("makeway.cli.jobs:override", "Do otherwise than was decided about a step."),
    "release": ("makeway.cli.jobs:release", "Let held jobs start."),
    "resize": ("makeway.cli.jobs:resize", "Change how many workers a job may have."),
    "retry": ("makeway.cli.jobs:retry", "Try jobs again."),
    "wait": ("makeway.cli.wait:wait", "Wait until jobs have ended."),
    "why": ("makeway.cli.why:why", "Say why a job does not run, and what would start it."),
    "diagnose": ("makeway.cli.diagnose:diagnose", "Say why it failed, and what to do about it."),
    "search": ("makeway.cli.search:search", "Find runs, steps, models, data sets, artifacts."),
    "lineage": ("makeway.cli.lineage:lineage", "Show what an artifact was made from, and made."),
    "datasets": ("makeway.cli.worth:datasets", "Say what each data set adds to a metric."),
    "logs": ("makeway.cli.logs:logs", "Print what the workers of a job or step printed."),
    "events": ("makeway.cli.events:events", "Print the log of all that happened."),
    "decisions": ("makeway.cli.decisions:decisions", "List who was evicted for whom, and why."),
    "shares": ("makeway.cli.shares:shares", "Show share, due, usage and demand of every queue."),
    "nodes": ("makeway.cli.nodes:nodes", "List the machines; drain, undrain, add, remove them."),
    "top": ("makeway.cli.top:top", "Watch queues, machines and jobs as they change."),
    "policy": ("makeway.cli.policy:policy", "Show, check or apply the policy."),
    "simulate": ("makeway.cli.simulate:simulate", "Play a scenario: what would the policy do?"),
    "compare": ("makeway.cli.compare:compare", "Replay a trace under several policies."),
    "export": ("makeway.cli.export:export", "Write the recorded past as a scenario."),
    "config": ("makeway.cli.config:config", "Show the configuration, and where it came from."),
    "token": ("makeway.cli.tokens:token", "Make, list and revoke tokens."),
    "up": ("makeway.cli.up:up", "Run the service that a team shares."),
    "ui": ("makeway.cli.ui:ui", "Print or open the link to the web pages."),
    "down": ("makeway.cli.status:down", "Let the service end; what runs goes on."),
    "status": ("makeway.cli.status:status", "Say how the service is, and as whom you ask."),
    "doctor": ("makeway.cli.doctor:doctor", "Look for what may be wrong here, and what to do."),
    "completion": ("makeway.cli.completion:completion", "Print what makes a shell complete words."),
    "version": ("makeway.cli.version:version", "Print the version."),
}
# They look at no store, or not always: a configuration that is wrong does not keep them from that.
UNCONFIGURED = ("simulate", "compare", "diagnose", "config", "version", "completion")


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command from the table; of an option as click does."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which command may have been meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " See makeway --help."
            ctx.fail(f"there is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="makeway", message="%(prog)s %(version)s")
@click.option(
    "--store",
    metavar="DIRECTORY",
    type=click.Path(file_okay=False),
    help="The folder where runs, logs and artifacts are kept.  [env: MAKEWAY_STORE; else what "
    "the configuration says; default: .makeway]",
)
@click.option("--url", help="The service to ask (default: MAKEWAY_URL, or the store's own).")
@click.option("--token-file", metavar="FILE", help="Holds the token (default: MAKEWAY_TOKEN).")
@click.pass_context
def cli(ctx: click.Context, store: str | None, url: str | None, token_file: str | None) -> None:
    """Operate machine learning on shared machines: who runs now; it failed, what now."""
    given = {"service.store": store, "service.url": url, "service.token_file": token_file}
    ctx.meta["makeway.given"] = given
    if ctx.invoked_subcommand not in UNCONFIGURED:
        from makeway.cli.connect import configure

        configure(ctx, given)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and end with its exit code (docs/cli.md lists them)."""
    options: dict[str, Any] = {"standalone_mode": False, "prog_name": "makeway"}
    try:
        code = cli.main(list(argv) if argv is not None else None, **options)
    except click.exceptions.Exit as leaving:
        code = leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; jobs of a service go on.", err=True)
        code = CTRL_C
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains at its end
        code = 1
    except MakewayError as error:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
