from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.seams import clock, randomness
from billing.common.csv_export import Cell
from billing.common.formatting import format_plain
from billing.common.periods import site_zone
from billing.reports import cost_report, table_files
from billing.reports.tables import Table

DEFAULT_DAYS = 30
HEADINGS = {
    "settled_estimate": "of settled",
    "variance_percent": "%",
    "user_credits_charged": "charged",
    "user_credits_refunded": "refunded",
}


class Command(BaseCommand):
    help = (
        "Prints what videos cost in provider credits, by the day of their order: estimate, actual cost, and the variance "
        "of settled videos. Days are in the site's time zone (TIME_ZONE)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            type=_parse_day,
            metavar="DATE",
            dest="first",
            help=f"the first day (default: {DEFAULT_DAYS} days in all)",
        )
        parser.add_argument("--to", type=_parse_day, metavar="DATE", dest="last", help="the last day (default: today)")
        parser.add_argument("--by", choices=cost_report.GROUPINGS, default="day")
        parser.add_argument("--format", choices=["table", *table_files.FORMATS], default="table")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the terminal")

    def handle(
        self,
        *args: Any,
        first: date | None,
        last: date | None,
        by: str,
        format: str,
        output: Path | None,
        **options: Any,
    ) -> None:
        last = last or clock.now().astimezone(site_zone()).date()
        first = first or last - timedelta(days=DEFAULT_DAYS - 1)
        if last < first:
            raise CommandError(f"The last day ({last}) is before the first ({first}).")
        table = cost_report.build_report(first=first, last=last, by=by).table()
        if not table.rows:
            self.stderr.write(f"Nothing was ordered from {first} to {last} ({site_zone()}).")
        lines = _format_table(table) if format == "table" else table_files.FORMATS[format][1](table, (first, last))
        if output is None:
            for line in lines:
                self.stdout.write(line, ending="")
        else:
            _write_file(output, lines)
            self.stderr.write(f"Written: {output}")


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is not a date: write it like 2026-11-21") from None


def _format_table(table: Table) -> Iterator[str]:
    """Yield the lines of a table with aligned columns: names to the left, numbers to the right, the total at the end."""
    if not table.rows:
        return
    rows: list[Sequence[Cell]] = list(table.rows)
    texts = [
        [HEADINGS.get(name, name) for name in table.columns],
        *([_format_cell(cell) for cell in row] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for index, row in enumerate(texts):
        if index in (1, len(texts) - 1):
            yield "  ".join("-" * width for width in widths) + "\n"
        cells = [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells) + "\n"


def _format_cell(cell: Cell) -> str:
    if cell is None:
        return "-"
    return format_plain(cell) if isinstance(cell, Decimal) else str(cell)


def _write_file(output: Path, lines: Iterator[str]) -> None:
    """Write the file completely or not at all."""
    temporary = output.with_name(f".{output.name}.{randomness.token()[:8]}.part")
    try:
        # The lines of a CSV already have line ends, which must not be translated.
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        temporary.replace(output)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
