"""Writes CSV line by line, and changes text cells that a spreadsheet would run as formulas."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.common.formatting import format_plain

Cell = str | int | float | Decimal | datetime | None

# A spreadsheet reads a cell with one of these first characters as a formula; the last four are full-width forms.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# The byte order mark: without it spreadsheets assume the system's legacy encoding instead of UTF-8.
BOM = "\ufeff"


class _Echo:
    """A file for `csv.writer` that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a line for each row. Text that looks like a formula gets an apostrophe; numbers keep a decimal point."""
    writer: Any = csv.writer(_Echo())
    yield BOM
    for row in rows:
        yield writer.writerow([_format_cell(cell) for cell in row])


def _format_cell(cell: Cell) -> str | int | float:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA_PREFIXES) else cell
    if isinstance(cell, Decimal):
        return format_plain(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    return "" if cell is None else cell
