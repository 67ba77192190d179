"""Measure how soon the gallery of an archive shows its first wall, in headless Chromium.

    python benchmarks/first_wall.py ARCHIVE --runs 3

Each run starts the command anew. Prints the seconds from its start until it answers; from the page's opening until the
names are there, until every visible thumbnail is, and until all of them are sharp; then the median of each.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

VISIBLE = """(wanted) => {
    const tiles = [...document.querySelectorAll(".tile")].filter((tile) => {
        const box = tile.getBoundingClientRect();
        return box.bottom > 0 && box.top < innerHeight;
    });
    const ready = (tile) => wanted === "names" ||
        (tile.querySelector("img.shown") && (wanted === "any" || tile.dataset.quality === wanted));
    return tiles.length > 0 && tiles.every(ready) ? tiles.length : 0;
}"""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only-first", action="store_true", help="do not wait for sharp thumbnails")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for _ in range(args.runs):
            started = time.monotonic()
            command = [sys.executable, "-u", "-m", "unicorn_cli", "view", str(args.archive), "--no-browser"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                address = re.search(r"http://\S+", server.stdout.readline())
                assert address, "the command serves the archive"
                ready = time.monotonic() - started
                opened = time.monotonic()
                page.goto(address[0])
                page.wait_for_function(VISIBLE, arg="names", timeout=60_000)
                named = time.monotonic() - opened
                tiles = page.wait_for_function(VISIBLE, arg="any", timeout=60_000).json_value()
                row = [ready, named, time.monotonic() - opened]
                if not args.only_first:
                    page.wait_for_function(VISIBLE, arg="sharp", timeout=300_000)
                    row.append(time.monotonic() - opened)
                page.goto("about:blank")
                server.send_signal(2)
            rows.append(row)
            print(f"{tiles} tiles:", " ".join(f"{value:.2f}" for value in row), flush=True)
        browser.close()
    names = ("start", "names", "first wall", "sharp wall")
    medians = ", ".join(
        f"{name} {median(values):.2f} s" for name, values in zip(names, zip(*rows, strict=True), strict=False)
    )
    print(f"median: {medians}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
