"""A table as a file: CSV that a spreadsheet opens without running anything, or JSON. Row by row, however long."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.amounts import plain
from billing.dashboard.tables import Cell, Table

# A spreadsheet takes what begins so for a formula.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Spreadsheets take a file without it for the system's old encoding.
_BOM = "\ufeff"

FORMATS: dict[str, tuple[str, Callable[[Table, tuple[date, date]], Iterator[str]]]]


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def as_csv(table: Table, days: tuple[date, date]) -> Iterator[str]:
    """Lines with a heading. Text that could be a formula gets an apostrophe; numbers stay numbers, with a point."""
    writer: Any = csv.writer(_Echo())
    yield _BOM
    yield writer.writerow(table.columns)
    for row in table.rows:
        yield writer.writerow([_csv_cell(cell) for cell in row])


def as_json(table: Table, days: tuple[date, date]) -> Iterator[str]:
    """`{"table", "from", "to", "rows": [{column: value}]}`."""
    head = {"table": table.name, "from": days[0].isoformat(), "to": days[1].isoformat()}
    yield f'{json.dumps(head)[:-1]}, "rows": ['
    comma = "\n"
    for row in table.rows:
        values = {name: _json_cell(cell) for name, cell in zip(table.columns, row, strict=True)}
        yield comma + json.dumps(values, ensure_ascii=False)
        comma = ",\n"
    yield "\n]}\n"


FORMATS = {"csv": ("text/csv; charset=utf-8", as_csv), "json": ("application/json", as_json)}


def file_name(table: Table, days: tuple[date, date], suffix: str) -> str:
    """`veoapp-models-2026-11-01-2026-11-21.csv`."""
    first, last = days
    dates = first.isoformat() if first == last else f"{first.isoformat()}-{last.isoformat()}"
    return f"veoapp-{table.name}-{dates}.{suffix}"


def _csv_cell(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return plain(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_DANGEROUS) else cell
    return cell


def _json_cell(cell: Cell) -> Any:
    if isinstance(cell, Decimal):
        # Exact for every amount there is: 15 digits.
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell.isoformat(timespec="seconds") if isinstance(cell, datetime) else cell
