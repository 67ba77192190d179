"""The command ``unicorn``: its subcommands, and the conversion of errors to a message and an exit code."""

import atexit
import gc
import os
import signal
import sys
import warnings
from typing import Any, NoReturn, TextIO

import click

from unicorn_codec import __version__
from unicorn_codec.errors import CanaryWarning, CheckpointWarning, DamagedSectionWarning, Interrupted, UnicornError
from unicorn_codec.pictures.picture_files import reason_of

from .bench import bench
from .completion import completion
from .contact import contact
from .demo import demo
from .diff import diff
from .exit_codes import ExitCode
from .growing import add, compact, join, remove, repair
from .inspecting import inspect
from .pack import pack
from .streams import abandon_stdout, is_lost_output, prepare_streams
from .unpack import unpack
from .verify import verify
from .view import view

# NumPy's threads spin while they wait, and compete with torch's for the processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


OBJECTS_BETWEEN_COLLECTIONS = 100_000


def collect_less() -> None:
    """Let the garbage collector run rarely, and not at exit, where it would visit every object of torch.

    Importing torch takes a third less time so.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)


def end_by_sigterm() -> None:
    """Let the signal TERM end the command as Ctrl-C does, so that no temporary file is left; a second one kills it."""

    def interrupt(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


class UnicornGroup(click.Group):
    """Group that prints errors of the library as one line; bugs keep their traceback."""

    def main(self, *args: Any, **settings: Any) -> Any:
        if sys.stdout is sys.__stdout__:  # false in tests
            prepare_streams()
            collect_less()
            end_by_sigterm()
        try:
            return super().main(*args, **settings)
        except OSError as error:  # of --help and --version, which run before a command is invoked
            stop_if_lost(error, ExitCode.FAILED)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            try:
                return super().invoke(ctx)
            except Interrupted as error:
                stop(f"unicorn: {error}", ExitCode.INTERRUPTED)
            except KeyboardInterrupt:
                stop("unicorn: interrupted", ExitCode.INTERRUPTED)
            except UnicornError as error:
                stop(f"unicorn: error: {error}", self._failure(ctx))
            except OSError as error:
                stop_if_lost(error, self._failure(ctx))
                raise

    def _failure(self, ctx: click.Context) -> ExitCode:
        """Return the exit code of a failure of the command that runs."""
        return ExitCode.TROUBLE if ctx.invoked_subcommand == diff.name else ExitCode.FAILED


def stop_if_lost(error: OSError, exit_code: int) -> None:
    """Exit with one line if the standard output cannot be written."""
    if is_lost_output(error):
        abandon_stdout()
        stop(f"unicorn: error: cannot write to the standard output: {reason_of(error)}", exit_code)


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


for command in (
    pack,
    unpack,
    inspect,
    view,
    contact,
    verify,
    diff,
    add,
    remove,
    compact,
    repair,
    join,
    bench,
    demo,
    completion,
):
    cli.add_command(command)
