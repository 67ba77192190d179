"""Help texts in groups: ``--help`` shows the usual options, ``--help-all`` all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """Option that belongs to a group of the help text.

    Args:
        group: heading of the group.
        advanced: whether only ``--help-all`` shows it.
    """

    def __init__(self, *args: Any, group: str = "", advanced: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group, self.advanced = group, advanced


def grouped(heading: str, *options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Group options, in this order, under a heading of the help text."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
            added = command.__click_params__[-1]  # type: ignore[attr-defined]
            assert isinstance(added, GroupedOption), "options of a group are made by `option`"
            added.group = heading
        return command

    return decorate


def option(*names: str, advanced: bool = False, **settings: Any) -> Callable[[Command], Command]:
    """Declare an option of a group; the arguments are those of ``click.option``."""
    return click.option(*names, cls=GroupedOption, advanced=advanced, **settings)


class GroupedCommand(click.Command):
    """Command whose help text shows options in groups, and advanced options only with ``--help-all``."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), _help_all_option()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            is_shown = ctx.meta.get(_SHOW_ALL, False) or not getattr(parameter, "advanced", False)
            if (
                isinstance(parameter, click.Option)
                and is_shown
                and (record := parameter.get_help_record(ctx)) is not None
            ):
                groups.setdefault(getattr(parameter, "group", "Help"), []).append(record)
        groups["Help"] = groups.pop("Help")  # move to the end
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


_SHOW_ALL = "unicorn_cli.help_all"


def _help_all_option() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            ctx.meta[_SHOW_ALL] = True
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()

    return click.Option(
        ["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show all options, including advanced ones, and exit.",
    )
