"""Write the help text of every command into ``commands.md``, between the markers."""

from pathlib import Path

import click

from unicorn_cli.main import cli

PAGE = Path(__file__).with_name("commands.md")
START = "<!-- help texts: start -->"
END = "<!-- help texts: end -->"
WIDTH = 100


def help_texts() -> str:
    """All help texts as Markdown, the group's own first."""
    settings = {**cli.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    root = click.Context(cli, info_name="unicorn", **settings)
    parts = [f"## unicorn\n\n```text\n{cli.get_help(root)}\n```"]
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=root)
        parts.append(f"## unicorn {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts)


def with_help_texts(page: str) -> str:
    """The page with what stands between the markers replaced."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{help_texts()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_help_texts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
