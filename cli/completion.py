"""``unicorn completion``: the script that completes commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "unicorn"
INSTALL = {
    "bash": 'eval "$(unicorn completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(unicorn completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "unicorn completion fish > ~/.config/fish/completions/unicorn.fish",
}
"""How the script of each shell is installed."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
      bash, in ~/.bashrc:                eval "$(unicorn completion bash)"
      zsh, in ~/.zshrc after compinit:   eval "$(unicorn completion zsh)"
      fish:   unicorn completion fish > ~/.config/fish/completions/unicorn.fish
    """
    found = get_completion_class(shell)
    assert found is not None, "click has it"
    script = found(ctx.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE")
    # Not script.source(), which runs bash to check its version: the script may be made for another machine.
    click.echo(f"# Install: {INSTALL[shell]}")
    click.echo(script.source_template % script.source_vars())
