"""Finished measurements in one JSON file, which is rewritten after each of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]
PLACE = ("question", "variant", "seed", "circumstances")
"""Fields that identify a row, without its measurements."""


class Results:
    """Rows of a file, to which finished ones are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []

    def has(self, question: int, variant: str, seed: int, circumstances: Mapping[str, Any]) -> bool:
        """Return whether a row has been measured already."""
        expected = (question, variant, seed, circumstances)
        return any(tuple(row[name] for name in PLACE) == expected for row in self.rows)

    def same_work(self, work: Mapping[str, Any], seed: int, circumstances: Mapping[str, Any]) -> Row | None:
        """Return a measurement for another question on an archive that would be identical, if there is one."""
        expected = (work, seed, circumstances)
        rows = (row for row in self.rows if (row["work"], row["seed"], row["circumstances"]) == expected)
        return next(({k: v for k, v in row.items() if k not in PLACE} for row in rows if not row["again"]), None)

    def add(self, row: Row) -> None:
        """Add a row and write the file."""
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".part")
        lines = ",\n".join(f"  {json.dumps(each)}" for each in self.rows)
        partial.write_text(f'{{"rows": [\n{lines}\n]}}\n')
        partial.replace(self.path)
