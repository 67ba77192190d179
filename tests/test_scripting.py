"""What scripts rely on: JSON by its schemas, exit codes, pictures on the standard output, completion, log lines."""

import io
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from PIL import Image

from unicorn_cli.exit_codes import ExitCode
from unicorn_cli.main import cli
from unicorn_codec.packing.reports import PackReport

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "docs" / "schemas"
WITHOUT_JSON = {"completion"}
"""The command whose whole output is a script."""


def run(*arguments: object) -> tuple[int, str, str]:
    """Run ``unicorn``; return its exit code, stdout and stderr."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def checked(schema: str, *arguments: object, exit_code: int = ExitCode.DONE) -> Any:
    """Return the values that a command prints with ``--json``, valid by its schema."""
    code, out, err = run(*arguments, "--json")
    assert code == exit_code, err
    values = json.loads(out)
    jsonschema.validate(values, json.loads((SCHEMAS / f"{schema}.json").read_text("utf-8")))
    return values


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run ``unicorn`` as a process, without a terminal."""
    command = [sys.executable, "-m", "unicorn_cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def archive(coded: tuple[Path, PackReport], tmp_path: Path) -> Path:
    """An archive of six pictures that a test may change."""
    return Path(shutil.copy(coded[0], tmp_path / "six.uni"))


def damaged_copy(archive: Path, index: int) -> Path:
    """Return a copy of an archive in which the code of one picture is damaged."""
    _, out, _ = run("inspect", archive, "--index", index, "--json")
    row = json.loads(out)
    data = bytearray(archive.read_bytes())
    data[row["offset"] + row["record_bytes"] - 9] ^= 255
    data[row["offset"] + row["record_bytes"] - 12] ^= 255
    copy = archive.with_name("damaged.uni")
    copy.write_bytes(data)
    return copy


# JSON


def test_the_schemas_are_those_that_the_reports_have() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_schemas.py"))
    texts = {f"{name}.json": made["text_of"](schema) for name, schema in made["schemas"]().items()}
    assert texts == {path.name: path.read_text("utf-8") for path in SCHEMAS.iterdir()}, "run docs/make_schemas.py"
    for text in texts.values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_every_command_prints_json_and_has_a_documented_schema() -> None:
    page = (ROOT / "docs" / "scripting.md").read_text("utf-8")
    for name, command in cli.commands.items():
        has_json = any("--json" in parameter.opts for parameter in command.params)
        assert has_json == (name not in WITHOUT_JSON), name
        assert not has_json or f"(schemas/{name}.json)" in page


def test_json_of_packing_and_of_the_archive(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    packed = checked("pack", "pack", folder, path, "--effort", 0, "--learn", "off", "--device", "cpu")
    assert packed["pictures"] == 6
    assert "entries" not in checked("inspect", "inspect", path)
    assert len(checked("inspect", "inspect", path, "--entries")["entries"]) == 6
    assert checked("inspect-index", "inspect", path, "--index", 2)["index"] == 2
    assert checked("verify", "verify", path, "--against", folder, "--device", "cpu")["worst"]
    grown = tmp_path / "more"
    checked("demo", "demo", grown, "--count", 2, "--side", 32)
    assert checked("add", "add", path, grown, "--effort", 0, "--device", "cpu")["pictures"] == 8
    assert checked("remove", "remove", path, "--index", "0,3")["removed"] == [0, 3]
    assert checked("join", "join", path, "-o", tmp_path / "joined.uni")["members"] == 6
    sizes = checked("compact", "compact", path)
    assert sizes["file_bytes"] == path.stat().st_size < sizes["file_bytes_before"]
    written = checked("unpack", "unpack", path, "--index", 2, "-o", tmp_path / "2.png")["written"]
    assert written == [{"index": 2, "path": str(tmp_path / "2.png")}]


def test_json_of_a_network(packed: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> None:
    assert checked("inspect", "inspect", packed[0])["network"]["depth"] == 2
    options = ("--hidden-size", 8, "--depth", 1, "--epochs", 2, "--device", "cpu")
    assert checked("pack", "pack", folder, tmp_path / "out.uni", *options)["parameters"] > 0


def test_json_of_damage(archive: Path, tmp_path: Path) -> None:
    damaged = damaged_copy(archive, 3)
    found = checked("unpack", "unpack", damaged, "--all", "-o", tmp_path / "all", exit_code=ExitCode.PICTURES_LOST)
    assert len(found["written"]) == 5 and "picture 3" in found["lost"][0]
    assert not checked("verify", "verify", damaged, exit_code=ExitCode.FAILED)["ok"]
    repaired = checked("repair", "repair", damaged, tmp_path / "saved.uni", exit_code=ExitCode.PICTURES_LOST)
    assert [index for index, _ in repaired["lost"]] == [3]


def test_json_of_what_shows_pictures(archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    sheet, page = tmp_path / "a sheet.png", tmp_path / "a page.html"
    cpu = ("--device", "cpu")
    drawn = checked("contact", "contact", archive, sheet, "--columns", 2, "--rows", 2, *cpu)
    assert [Path(path).name for path in drawn.pop("written")] == ["a sheet-1.png", "a sheet-2.png"]
    assert drawn == {"pictures": 6, "lost": []}
    exported = checked("view-export", "view", archive, "--export", page, *cpu)
    assert exported == {"page": str(page), "pictures": 6, "file_bytes": page.stat().st_size, "lost": []}
    damaged = damaged_copy(archive, 3)
    lost = {"pictures": 5, "lost": [3]}
    code = ExitCode.PICTURES_LOST
    assert checked("contact", "contact", damaged, tmp_path / "b.png", *cpu, exit_code=code).items() >= lost.items()
    shown = checked("view-export", "view", damaged, "--export", tmp_path / "b.html", *cpu, exit_code=code)
    assert shown.items() >= lost.items()


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal INT")
def test_json_of_the_gallery_is_its_address(archive: Path) -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "unicorn_cli", "view", str(archive), "--no-browser", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(3)]
        values = json.loads("".join(lines))
        jsonschema.validate(values, json.loads((SCHEMAS / "view.json").read_text("utf-8")))
        with urllib.request.urlopen(values["address"]) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGINT)
        assert server.stdout.read() == "" and server.wait(60) == ExitCode.DONE


def test_json_of_a_benchmark(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ssimulacra2")
    pytest.importorskip("matplotlib")
    values = checked("bench", "bench", folder, "--out", tmp_path / "b", "--codecs", "jpeg", "--points", 1)
    assert values["points"] == 1 and Path(values["results"]).is_file()


# Exit codes


def test_the_documented_exit_codes_are_all_there_are() -> None:
    page = (ROOT / "docs" / "scripting.md").read_text("utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == [*ExitCode]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "{uni}"], ExitCode.DONE),
        (["inspect", "missing.uni"], ExitCode.FAILED),
        (["unpack", "{uni}", "--index", "6"], ExitCode.FAILED),
        (["unpack", "{uni}"], ExitCode.TROUBLE),
        (["diff", "{uni}", "{uni}"], ExitCode.DONE),
        (["diff", "{uni}", "missing.uni"], ExitCode.TROUBLE),
        (["diff", "{uni}"], ExitCode.TROUBLE),
    ],
)
def test_exit_codes(arguments: Sequence[str], code: int, archive: Path) -> None:
    done = in_a_process(*(argument.format(uni=archive) for argument in arguments))
    assert done.returncode == code, done.stderr.decode()


# What reads no pixels

NEEDLESS = ("torch", "diffusers", "safetensors", "PIL", "imagecodecs", "bitstring", "simplejpeg", "tifffile")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "{uni}", "--entries"], ExitCode.DONE),
        (["diff", "{uni}", "{uni}"], ExitCode.DONE),
        (["compact", "{uni}"], ExitCode.DONE),
        (["completion", "fish"], ExitCode.DONE),
    ],
)
def test_what_reads_no_pixels_does_without_most_packages(arguments: list[str], code: int, archive: Path) -> None:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({NEEDLESS!r}))\n"
        "from unicorn_cli.main import cli; cli(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, *(argument.format(uni=archive) for argument in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()


# Differences


def test_an_archive_is_the_same_as_its_compacted_copy(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(archive, tmp_path / "b.uni"))
    run("remove", archive, "--index", 1)
    run("remove", copy, "--index", 1)
    run("compact", copy)
    assert archive.stat().st_size > copy.stat().st_size
    assert run("diff", archive, copy)[:2] == (0, "0 pictures added, 0 removed, 0 changed, 5 the same\n")


def test_added_and_removed_pictures_are_listed(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(archive, tmp_path / "b.uni"))
    run("remove", copy, "--index", "1,4")
    run("demo", tmp_path / "more", "--count", 1, "--side", 32)
    run("add", copy, tmp_path / "more", "--effort", 0, "--device", "cpu")
    values = checked("diff", "diff", archive, copy, exit_code=1)
    assert [member["index"] for member in values["removed"]] == [1, 4]
    assert [member["index"] for member in values["added"]] == [6]
    assert (values["same"], values["changed"], values["settings"]) == (4, [], [])
    code, out, _ = run("diff", copy, archive)
    assert code == 1
    assert out.splitlines()[-1] == "2 pictures added, 1 removed, 0 changed, 4 the same"


def test_pictures_at_other_indices_are_paired_by_name(archive: Path, folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.uni"
    settings = ("--no-sequences", "--no-avif", "--device", "cpu", "--learn", "off")
    run("pack", folder, again, "--seed", 8, *settings)
    values = checked("diff", "diff", archive, again, exit_code=1)
    assert values["added"] == values["removed"] == []
    assert values["changed"] and all(change["changes"] == ["index"] for change in values["changed"])
    assert "index 0 before" in run("diff", archive, again)[1] or values["same"]


def test_changed_codes_decoders_and_metadata_are_named(archive: Path, folder: Path, tmp_path: Path) -> None:
    coarse, touched = tmp_path / "coarse.uni", Path(shutil.copytree(folder, tmp_path / "touched"))
    settings = ("--seed", 7, "--no-sequences", "--no-avif", "--device", "cpu", "--learn", "off")
    run("pack", folder, coarse, "--step", 16, "--effort", 0, *settings)
    values = checked("diff", "diff", archive, coarse, exit_code=1)
    assert {"code", "decoder"} <= set(values["changed"][0]["changes"])
    assert [setting["setting"] for setting in values["settings"]] == ["decoders"]
    os.utime(touched / "wide 0.png", (1e9, 1e9))
    run("pack", touched, tmp_path / "touched.uni", *settings)
    changed = checked("diff", "diff", archive, tmp_path / "touched.uni", exit_code=1)["changed"]
    assert [(change["name"], change["changes"]) for change in changed] == [("wide 0.png", ["metadata"])]


def test_a_damaged_archive_is_named(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "text.uni").write_text("no archive")
    for damaged in (damaged_copy(archive, 3), tmp_path / "text.uni"):
        for arguments in ((archive, damaged), (damaged, archive)):
            code, out, err = run("diff", *arguments)
            assert (code, out) == (ExitCode.TROUBLE, "")
            assert err.startswith(f"unicorn: error: {damaged}: ") and err.count("\n") == 1


def test_archives_with_networks_are_compared(packed: tuple[Path, PackReport], archive: Path) -> None:
    assert checked("diff", "diff", packed[0], packed[0])["same"] == 6
    values = checked("diff", "diff", packed[0], archive, exit_code=1)
    assert all("codec" in change["changes"] for change in values["changed"]) and len(values["changed"]) == 6


# Standard output, completion, log lines


@pytest.mark.parametrize(("suffix", "name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_one_picture_goes_to_the_standard_output(suffix: str, name: str, archive: Path, tmp_path: Path) -> None:
    done = in_a_process("unpack", archive, "--index", 2, "--stdout", "--format", suffix, "--device", "cpu")
    assert done.returncode == 0, done.stderr.decode()
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.format == name
        picture.load()
    # In a process as well: this one computes by another number of threads, so that pixels may be rounded otherwise.
    in_a_process("unpack", archive, "--index", 2, "-o", tmp_path / f"2.{suffix}", "--device", "cpu")
    assert (tmp_path / f"2.{suffix}").read_bytes() == done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--all", "--stdout"], "one picture, not 6"),
        (["--index", "1", "--stdout", "-o", "a.png"], "leave out -o"),
        (["--index", "1", "--stdout", "--json"], "--json cannot be combined"),
    ],
)
def test_what_does_not_go_to_the_standard_output(arguments: list[str], reason: str, archive: Path) -> None:
    code, out, err = run("unpack", archive, *arguments)
    assert (code, out) == (ExitCode.TROUBLE, "")
    assert reason in " ".join(err.split())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_picture_is_not_written_to_a_terminal(archive: Path) -> None:
    import pty

    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "unicorn_cli", "unpack", str(archive), "--index", "2", "--stdout"]
    done = subprocess.run(command, cwd=ROOT, stdout=terminal, stderr=subprocess.PIPE, check=False)
    os.close(terminal)
    os.close(main)
    assert done.returncode == ExitCode.TROUBLE
    assert b"redirect the output" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_says_how_to_install_it(shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert out.startswith("# Install: ") and f"unicorn completion {shell}" in out.splitlines()[0]
    assert "_UNICORN_COMPLETE" in out
    page = (ROOT / "docs" / "scripting.md").read_text("utf-8")
    assert f"unicorn completion {shell}" in page


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(("line", "found"), [("unicorn unp", "unpack"), ("unicorn unpack --std", "--stdout")])
def test_bash_completes_commands_and_options(line: str, found: str, tmp_path: Path) -> None:
    words = line.split()
    program = tmp_path / "unicorn"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unicorn_cli "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(unicorn completion bash)"\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        '_unicorn_completion unicorn\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [found], done.stderr


def test_progress_is_silent_without_a_terminal_and_lines_with_log(archive: Path, tmp_path: Path) -> None:
    quiet = in_a_process("unpack", archive, "--all", "-o", tmp_path / "a", "--device", "cpu")
    assert (quiet.returncode, quiet.stderr) == (0, b"")
    logged = in_a_process("unpack", archive, "--all", "-o", tmp_path / "b", "--device", "cpu", "--log")
    lines = logged.stderr.decode().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d unpacking: 6 of 6, [0-9.]+/s, \d+ s in all", lines[-1])


def test_repair_says_how_far_it_is(archive: Path, tmp_path: Path) -> None:
    damaged = damaged_copy(archive, 3)
    quiet = in_a_process("repair", damaged, tmp_path / "a.uni")
    assert (quiet.returncode, quiet.stderr) == (ExitCode.PICTURES_LOST, b"")
    logged = in_a_process("repair", damaged, tmp_path / "b.uni", "--log").stderr.decode().splitlines()
    shown = [line[9:].split(",")[0] for line in logged]
    assert shown[1:] == ["scanning: 100 %", "storing: 1 of 5", "storing: 5 of 5"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_bar_with_rate_and_remaining_time(archive: Path, tmp_path: Path) -> None:
    import pty
    import termios

    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [sys.executable, "-m", "unicorn_cli", "unpack", str(archive), "--all", "-o", str(tmp_path / "a")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, check=False)
    os.close(terminal)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.returncode == 0
    last = shown.split("\r")[-2].strip() if shown.endswith("\r\n") else shown.split("\r")[-1].strip()
    assert re.search(r"^unpacking +: 100%\|.+\| 6/6 \[\d\d:\d\d<\d\d:\d\d, .+(it/s|s/it)\]$", last), shown
