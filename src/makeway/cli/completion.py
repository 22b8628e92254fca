"""Write what makes a shell complete commands and options."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    r"""Print what makes SHELL complete the words of makeway.

    \b
    bash   eval "$(makeway completion bash)"      in ~/.bashrc
    zsh    eval "$(makeway completion zsh)"       in ~/.zshrc
    fish   makeway completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "click knows all of these"
    click.echo(kind(ctx.find_root().command, {}, "makeway", "_MAKEWAY_COMPLETE").source())
