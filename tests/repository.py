"""What documents may refer to: files, tests, targets of make, modules, commands and their options."""

import ast
import os
import pkgutil
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

SCRIPT_OPTION = re.compile(r"""["'](--?[A-Za-z][\w-]*)["']""")
TARGET = re.compile(r"^([\w-]+):", re.MULTILINE)
PLACEHOLDER = re.compile(r"<[^>]*>|\{[^}]*\}|\.\.\.|\b[A-Z][A-Z_]*\b(?!\.md)")
MADE = {"__pycache__", "build", "dist", "demo"}
"""Names of folders that hold build outputs."""


@dataclass(frozen=True)
class Repository:
    """What documents may refer to. ``program`` is the command line."""

    root: Path
    program: click.Group

    @cached_property
    def files(self) -> frozenset[str]:
        """Paths of files and folders below the root, without environments and build outputs."""
        found = set()
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in MADE]
            path = Path(folder).relative_to(self.root)
            found |= {(path / name).as_posix() for name in (*folders, *names)}
        return frozenset(found)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(path.rsplit("/", 1)[-1] for path in self.files)

    @cached_property
    def folders(self) -> frozenset[str]:
        return frozenset(path.split("/", 1)[0] for path in self.files if "/" in path)

    @cached_property
    def tests(self) -> frozenset[str]:
        """Names of test functions."""
        trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (self.root / "tests").rglob("test_*.py"))
        nodes = (node for tree in trees for node in ast.walk(tree))
        return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef))

    @cached_property
    def targets(self) -> frozenset[str]:
        return frozenset(TARGET.findall((self.root / "Makefile").read_text(encoding="utf-8")))

    @cached_property
    def modules(self) -> dict[str, list[str]]:
        """Full names of the library's modules and folders by their last part."""
        found: dict[str, list[str]] = {}
        for path in self.files:
            if path.startswith("unicorn_codec/") and (
                path.endswith(".py") or (self.root / path / "__init__.py").exists()
            ):
                name = path.removesuffix(".py").replace("/", ".")
                found.setdefault(name.rsplit(".", 1)[-1], []).append(name)
        return found

    @cached_property
    def program_options(self) -> dict[str, frozenset[str]]:
        """Options by subcommand; those of the program itself under its empty name."""
        context = click.Context(self.program, info_name="unicorn", **self.program.context_settings)
        commands: dict[str, click.Command] = {"": self.program} | dict(self.program.commands)
        return {
            name: frozenset(
                option
                for parameter in command.get_params(click.Context(command, info_name=name, parent=context))
                for option in (*parameter.opts, *parameter.secondary_opts)
            )
            for name, command in commands.items()
        }

    @cached_property
    def script_options(self) -> dict[str, frozenset[str]]:
        """Options by path, of every script outside the library."""
        found = {}
        for path in self.files:
            if path.endswith(".py") and path.split("/")[0] in {"benchmarks", "models", "docs", "format_spec", "tests"}:
                source = (self.root / path).read_text(encoding="utf-8")
                options = set(SCRIPT_OPTION.findall(source)) | {"-h", "--help"}
                if "BooleanOptionalAction" in source:
                    options |= {"--no-" + option.removeprefix("--") for option in options}
                found[path] = frozenset(options)
        return found

    @cached_property
    def all_options(self) -> frozenset[str]:
        return frozenset().union(*self.program_options.values(), *self.script_options.values())

    def matches(self, path: str) -> bool:
        """Whether a path exists. A placeholder (``<name>``, ``NAME``, ``*``) fits any name."""
        if (self.root / path).exists():
            return True
        pattern = PLACEHOLDER.sub("*", path).rstrip("/")
        return "*" in pattern and any(self.root.glob(pattern))


def resolves(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True
