"""Rows as CSV that a spreadsheet opens without running anything, line by line, however long."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.common.formatting import format_plain

Cell = str | int | float | Decimal | datetime | None

# What a spreadsheet takes for a formula when a cell begins with it, also in full width.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Spreadsheets take a file without it for the system's old encoding.
BOM = "\ufeff"


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """A line for each row. Words that could be a formula get an apostrophe; numbers stay numbers, with a point."""
    writer: Any = csv.writer(_Echo())
    yield BOM
    for row in rows:
        yield writer.writerow([_written(cell) for cell in row])


def _written(cell: Cell) -> str | int | float:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(DANGEROUS) else cell
    if isinstance(cell, Decimal):
        return format_plain(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    return "" if cell is None else cell
