"""``python -m unicorn_cli`` is ``unicorn``."""

from .main import cli

cli(prog_name="unicorn")
