"""Print the results of attacks as rows of a table, from the JSON lines at the end of the scripts' output.

    python benchmarks/reliability/soak.py --rounds 500 | tee -a attacks.jsonl
    python benchmarks/reliability/collect.py attacks.jsonl

Other lines are ignored, so whole logs may be given.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_APART = ("script", "target", "ok", "problems", "finds")


def results(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of logs."""
    for path in paths:
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith('{"script": '):
                yield json.loads(line)


def row(result: dict[str, Any]) -> str:
    """Return one row: script, what was tried, what was found."""
    name = " ".join(filter(None, (result["script"], result.get("target"))))
    tried = "; ".join(
        f"{key.replace('_', ' ')} {cell_text(value)}" for key, value in result.items() if key not in _APART
    )
    found = result.get("problems") or len(result.get("finds", ()))
    return f"| {name} | {tried} | {found or 'nothing'} |"


def cell_text(value: Any) -> str:
    """Format a value for a cell."""
    if isinstance(value, dict):
        return ", ".join(f"{key} ({cell_text(inner)})" for key, inner in value.items())
    if isinstance(value, list):
        return " to ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+")
    args = parser.parse_args()
    print("| script | tried | found |\n|---|---|---|")
    for result in results(args.logs):
        print(row(result))


if __name__ == "__main__":
    main()
