"""Rows as CSV that a spreadsheet opens without running anything, line by line, however long."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# What a spreadsheet takes for a formula when a cell begins with it, also in full width.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Spreadsheets take a file without it for the system's old encoding.
BOM = "\ufeff"


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def lines(rows: Iterable[Sequence[str | int]]) -> Iterator[str]:
    """A line for each row. Words that could be a formula get an apostrophe; numbers stay numbers."""
    writer: Any = csv.writer(_Echo())
    yield BOM
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and value.startswith(DANGEROUS) else value
