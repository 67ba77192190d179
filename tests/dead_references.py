"""Find the references of a Markdown document that lead nowhere: links, files, tests, modules, commands, options."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tests.repository import PLACEHOLDER, Repository, resolves

FENCED = re.compile(r"^[ \t]*```.*?^[ \t]*```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n)\n)((?: {4}.*\n)+)")
SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LINK = re.compile(
    r"""\]\(\s*<?([^)>\s]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)="([^"]+)\"""", re.MULTILINE
)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ANCHOR = re.compile(r"""<a\s+(?:id|name)="([^"]+)\"""")
OPTION = re.compile(r"--?[A-Za-z][\w-]*")
TEST = re.compile(r"test_\w+")
MODULE = re.compile(r"\bunicorn_(?:codec|cli)(?:\.\w+)+")
IMPORT = re.compile(r"^from (unicorn_\w+(?:\.\w+)*) import \(?([\w, \n]+)", re.MULTILINE)
DOTTED = re.compile(r"([a-z]\w*)((?:\.[A-Za-z]\w*)+)(?:\(.*\))?")
OPERATORS = {"&&", "||", "|", ";", ">", "<", "&"}
OWN_SUFFIXES = (".py", ".md", ".cfg", ".toml", ".safetensors")
"""A name that ends in one of these is a file of the repository; others may be examples of a reader's files."""


def slug(heading: str) -> str:
    """The anchor that a heading gets: letters, digits, underscores and hyphens, in small letters."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def anchors_of(text: str) -> set[str]:
    """Every anchor of a document. A heading that comes again gets a number."""
    anchors: set[str] = set(ANCHOR.findall(text))
    seen: dict[str, int] = {}
    for heading in HEADING.findall(FENCED.sub("", text)):
        name = slug(heading)
        count = seen[name] = seen.get(name, -1) + 1
        anchors.add(f"{name}-{count}" if count else name)
    return anchors


def words_of(line: str) -> list[str]:
    """The words of a command line, without its comment."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # an apostrophe of prose, or a span that is cut off
        return line.split()


def commands_of(words: list[str]) -> Iterator[list[str]]:
    """Split at operators of the shell; leave out a prompt, variables that are set, ``time`` and ``nice``."""
    command: list[str] = []
    for word in [*words, ";"]:
        if word in OPERATORS:
            if command:
                yield command
            command = []
        elif command or not (word in {"$", "time", "nice"} or re.fullmatch(r"[A-Z_]+=.*", word)):
            command.append(word)


@dataclass(frozen=True)
class Document:
    """A Markdown text and where it lies, relative to the repository's root."""

    repository: Repository
    path: str
    text: str

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    def dead_references(self) -> list[str]:
        """Everything that the document names and the repository does not have, in order of kind."""
        found = [*self.dead_links()]
        for text in self.pieces():
            found += [*self.dead_paths(text), *self.dead_names(text), *self.dead_commands(text)]
        return list(dict.fromkeys(found))

    def pieces(self) -> Iterator[str]:
        """Spans of code, and lines of fenced and indented code with their continuations."""
        blocks = [block.split("\n", 1)[1].rpartition("\n")[0] for block in FENCED.findall(self.text)]
        prose = FENCED.sub("", self.text)
        for block in [*blocks, *INDENTED.findall(prose)]:
            yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())
        for _, span in SPAN.findall(INDENTED.sub("\n", prose)):
            yield " ".join(span.split())

    def from_root(self, path: str) -> str:
        """A path that is relative to this document, as one that is relative to the root."""
        parts: list[str] = []
        for part in f"{self.folder}/{path}".split("/"):
            if part == "..":
                parts = parts[:-1] if parts else ["outside the repository"]
            elif part not in {"", "."}:
                parts.append(part)
        return "/".join(parts)

    def dead_links(self) -> Iterator[str]:
        for groups in LINK.findall(SPAN.sub("", FENCED.sub("", self.text))):
            link = next(filter(None, groups))
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = self.from_root(path) if path else self.path
            if path and not (self.repository.root / target).exists():
                yield f"link to {link}: there is no {target}"
            elif anchor and target.endswith(".md"):
                text = (self.repository.root / target).read_text(encoding="utf-8") if path else self.text
                if anchor not in anchors_of(text):
                    yield f"link to {link}: {target} has no such heading"

    def dead_paths(self, text: str) -> Iterator[str]:
        """Paths below a folder of the repository, and bare names of its own kinds of files."""
        for word in words_of(text):
            path = word.split("::")[0].rstrip(",.:)").lstrip("(").removeprefix("./")
            if re.search(r"[\s$=()\[\]]|^[-/]|://", path):
                continue
            if "/" in path and path.split("/")[0] in self.repository.folders:
                exists = self.repository.matches(path) or self.repository.matches(self.from_root(path))
            elif "/" not in path and path.endswith(OWN_SUFFIXES) and path not in OWN_SUFFIXES:
                exists = path in self.repository.names or PLACEHOLDER.search(path) is not None or "*" in path
            else:
                continue
            if not exists:
                yield f"there is no file {path}"

    def dead_names(self, text: str) -> Iterator[str]:
        """Test functions (``test_some...`` for all that begin so) and dotted names of the library."""
        for match in TEST.finditer(text):
            follows = text[match.end() :]
            if follows.startswith((".py", ".md")) or text[: match.start()].endswith(("/", ".", "-")):
                continue
            whole = not follows.startswith(("...", "*"))
            if not any(name == match[0] if whole else name.startswith(match[0]) for name in self.repository.tests):
                yield f"there is no test {match[0]}"
        for name in MODULE.findall(text):
            if not resolves(name):
                yield f"there is no module or name {name}"
        for module, imported in IMPORT.findall(text):
            for name in re.findall(r"\w+", imported):
                if not resolves(f"{module}.{name}"):
                    yield f"there is no name {name} in {module}"
        dotted = DOTTED.fullmatch(text)
        modules = self.repository.modules.get(dotted[1], []) if dotted and not self.is_field(text) else []
        # Some modules are called like the package that they adapt to.
        if dotted and modules and not any(resolves(module + dotted[2]) for module in modules) and not resolves(text):
            yield f"there is no name {text} in the library"

    def is_field(self, text: str) -> bool:
        """Whether a dotted name may be that of a file, or of a field of the format in the specification."""
        return text.endswith((*OWN_SUFFIXES, ".json", ".uni", ".png")) or self.path == "format_spec/uni-1.md"

    def dead_commands(self, text: str) -> Iterator[str]:
        """Commands and options of ``unicorn``, targets of ``make``, scripts' options, modules that are run."""
        for command in commands_of(words_of(text)):
            program, arguments = command[0].rpartition("/")[2], command[1:]
            if program == "make":
                targets = {word for word in arguments if re.fullmatch(r"[a-z][\w-]*", word)}
                yield from (f"there is no target {name} of make" for name in sorted(targets - self.repository.targets))
            elif program == "unicorn":
                yield from self.dead_options_of_program(arguments)
            elif program in self.repository.program.commands and any(word.startswith("--") for word in arguments):
                yield from self.dead_options_of_program(command)
            elif re.fullmatch(r"python[\d.]*", program) and arguments:
                yield from self.dead_options_of_script(arguments)
            elif program.endswith(".py") and any(word.startswith("-") for word in arguments):
                yield from self.dead_options_of_script(command)
            elif program.startswith("--"):
                unknown = options_in(command) - self.repository.all_options
                yield from (f"no command has an option {option}" for option in sorted(unknown))

    def dead_options_of_program(self, arguments: list[str]) -> Iterator[str]:
        options = self.repository.program_options
        name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
        if name not in options:
            yield f"there is no command unicorn {name}"
        else:
            yield from (
                f"unicorn {name} has no option {option}" for option in sorted(options_in(arguments) - options[name])
            )

    def dead_options_of_script(self, arguments: list[str]) -> Iterator[str]:
        """Of ``script.py --option ...`` or ``-m package.module --option ...``."""
        if arguments[0] == "-m" and len(arguments) > 1:
            module = arguments[1].replace(".", "/")
            if module.split("/")[0] not in self.repository.folders:
                return  # of a tool such as pip or pytest
            script = next((p for p in (f"{module}.py", f"{module}/__main__.py") if p in self.repository.files), "")
            if not script:
                yield f"there is no module {arguments[1]}"
            given = arguments[2:]
        else:
            name, given = arguments[0], arguments[1:]
            script = next((p for p in self.repository.script_options if p == name or p.endswith(f"/{name}")), "")
        if script:  # a script that is not there has been reported as a file
            unknown = options_in(given) - self.repository.script_options[script]
            yield from (f"{script} has no option {option}" for option in sorted(unknown))


def options_in(words: list[str]) -> set[str]:
    """Options among words, without values that follow an equals sign."""
    names = (word.split("=")[0] for word in words)
    return {name for name in names if OPTION.fullmatch(name)}
