"""Writes tables as CSV that is safe to open in a spreadsheet, or as JSON, row by row to save memory."""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from billing.common import csv_export
from billing.common.csv_export import Cell
from billing.reports.tables import Table


def as_csv(table: Table, days: tuple[date, date]) -> Iterator[str]:
    """Yield the lines of the CSV file, the header first."""
    return csv_export.csv_lines(chain((table.columns,), table.rows))


def as_json(table: Table, days: tuple[date, date]) -> Iterator[str]:
    """Yield one JSON object, `{"table", "from", "to", "rows": [{column: value}]}`, in pieces."""
    head = {"table": table.name, "from": days[0].isoformat(), "to": days[1].isoformat()}
    yield f'{json.dumps(head)[:-1]}, "rows": ['
    separator = "\n"
    for row in table.rows:
        values = {name: _json_cell(cell) for name, cell in zip(table.columns, row, strict=True)}
        yield separator + json.dumps(values, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


FORMATS: dict[str, tuple[str, Callable[[Table, tuple[date, date]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
}


def file_name(table: Table, days: tuple[date, date], suffix: str) -> str:
    """Return a name such as `veoapp-models-2026-11-01-2026-11-21.csv`."""
    first, last = days
    dates = first.isoformat() if first == last else f"{first.isoformat()}-{last.isoformat()}"
    return f"veoapp-{table.name}-{dates}.{suffix}"


def _json_cell(cell: Cell) -> Any:
    if isinstance(cell, Decimal):
        # A float is exact for every amount that fits the columns: 15 digits.
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell.isoformat(timespec="seconds") if isinstance(cell, datetime) else cell
