"""``unicorn demo``: draw sample pictures."""

from pathlib import Path

import click

from .options import a_path, json_option
from .text import count
from .values import to_json


@click.command()
@click.argument("folder", type=a_path)
@click.option(
    "--count", "pictures", type=click.IntRange(1, 999), default=24, show_default=True, help="Number of pictures."
)
@click.option(
    "--side", type=click.IntRange(16, 1024), default=128, show_default=True, help="Width and height in pixels."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@json_option
def demo(folder: Path, pictures: int, side: int, seed: int, as_json: bool) -> None:
    """Draw sample pictures into FOLDER.

    They show one mug in many colours, poses and lights. The same seed draws the same pictures.
    """
    from unicorn_codec.pictures.demo_pictures import make_demo_pictures

    paths = make_demo_pictures(folder, pictures, side, seed)
    if as_json:
        click.echo(to_json({"side": side, "seed": seed, "paths": list(map(str, paths))}))
        return
    click.echo(f"{count(len(paths), 'picture')} of {side}x{side} written to {folder}")
    click.echo(f"next: unicorn pack {folder} out.uni")
