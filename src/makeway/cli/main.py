"""Find the command that was asked for; import only that one.

`makeway --help` must answer at once, so the table below knows each command's name, its place and
its one line, and everything else is imported when the command runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from makeway import __version__
from makeway.errors import MakewayError

COMMANDS = {
    "run": ("makeway.cli.flows:run", "Run a workflow here, with its own processes."),
    "resume": ("makeway.cli.flows:resume", "Go on with a run: only what is missing runs."),
    "runs": ("makeway.cli.history:runs", "List the runs, latest first."),
    "run-show": ("makeway.cli.history:run_show", "Show one run: its steps, selection, result."),
    "run-graph": ("makeway.cli.history:run_graph", "Draw the graph of a run, with its states."),
    "step": ("makeway.cli.samples:step", "Show one step: its attempts, logs, samples."),
    "logs": ("makeway.cli.logs:logs", "Print what a step's workers printed."),
    "events": ("makeway.cli.events:events", "Print the log of all that happened."),
    "simulate": ("makeway.cli.simulate:simulate", "Play a scenario: what would the policy do?"),
    "compare": ("makeway.cli.compare:compare", "Replay a trace under several policies."),
    "why": ("makeway.cli.why:why", "Say why a job does not run, and what would start it."),
    "shares": ("makeway.cli.why:shares", "Show share, due, usage and demand of every queue."),
    "config": ("makeway.cli.config:config", "Show the configuration, and where it came from."),
    "policy": ("makeway.cli.policy:policy", "Try a policy file before it is applied."),
    "version": ("makeway.cli.version:version", "Print the version."),
}
CTRL_C = 130
# They look at no store: a configuration that is wrong does not keep them from their work.
UNCONFIGURED = ("simulate", "compare", "why", "shares", "config", "policy", "version")


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
@click.pass_context
def cli(ctx: click.Context, store: str | None) -> None:
    """Operate machine learning on shared machines: who runs now; it failed, what now."""
    if ctx.invoked_subcommand in UNCONFIGURED:
        return
    from makeway.cli.configured import configured

    config = configured({"service.store": store}, cluster=False)
    ctx.obj = os.path.realpath(config.service.store)


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
        click.echo("stopped.", err=True)
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
