"""The command ``unicorn``: its subcommands, and the conversion of errors to a message and an exit code."""

import os
import sys
import warnings
from typing import Any, NoReturn, TextIO

import click

from unicorn_codec import __version__
from unicorn_codec.errors import CanaryWarning, CheckpointWarning, DamagedSectionWarning, Interrupted, UnicornError
from unicorn_codec.pictures.picture_files import reason_of

from .bench import bench
from .contact import contact
from .demo import demo
from .growing import add, compact, remove, repair
from .inspecting import inspect
from .pack import pack
from .streams import abandon_stdout, is_lost_output, prepare_streams
from .unpack import unpack
from .verify import verify
from .view import view

# NumPy's threads spin while they wait, and compete with torch's for the processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

FAILED = 1
INTERRUPTED = 130
"""Exit code of a command stopped by Ctrl-C, as in shells."""


class UnicornGroup(click.Group):
    """Group that prints errors of the library as one line; bugs keep their traceback."""

    def main(self, *args: Any, **settings: Any) -> Any:
        if sys.stdout is sys.__stdout__:  # false in tests
            prepare_streams()
        try:
            return super().main(*args, **settings)
        except OSError as error:  # of --help and --version, which run before a command is invoked
            stop_if_lost(error)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            try:
                return super().invoke(ctx)
            except Interrupted as error:
                stop(f"unicorn: {error}", INTERRUPTED)
            except KeyboardInterrupt:
                stop("unicorn: interrupted", INTERRUPTED)
            except UnicornError as error:
                stop(f"unicorn: error: {error}", FAILED)
            except OSError as error:
                stop_if_lost(error)
                raise


def stop_if_lost(error: OSError) -> None:
    """Exit with one line if the standard output cannot be written."""
    if is_lost_output(error):
        abandon_stdout()
        stop(f"unicorn: error: cannot write to the standard output: {reason_of(error)}", FAILED)


def stop(message: str, exit_code: int) -> NoReturn:
    """Print a message on stderr and exit."""
    click.echo(message, err=True)
    sys.exit(exit_code)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning about a file without its line of code, and other warnings as Python does."""
    if issubclass(category, (CanaryWarning, CheckpointWarning, DamagedSectionWarning)):
        click.echo(f"unicorn: warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), err=True, nl=False)


@click.group(cls=UnicornGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="unicorn-codec")
def cli() -> None:
    """Pack a folder of pictures into one small file, and unpack any of them by its index.

    \b
      unicorn pack photos/ out.uni
      unicorn unpack out.uni --index 42
      unicorn inspect out.uni
      unicorn add out.uni more/
    """


for command in (pack, unpack, inspect, view, contact, verify, add, remove, compact, repair, bench, demo):
    cli.add_command(command)
