import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.common.formatting import format_plain
from billing.pricing.margins import Margin
from videos.pipeline import price_sync
from videos.pipeline.price_sync import PriceComparison
from videos.providers.errors import ProviderError

SAME, DIFFERENT, ERROR = 0, 1, 2  # exit codes
# "THEN" is the margin if the feed's price is adopted.
HEADER = ("ITEM", "OURS", "FEED", "DIFFERENCE", "USERS PAY", "MARGIN", "THEN", "")


class Command(BaseCommand):
    help = (
        "Reads the provider's public price feed and shows where our price list differs, in provider credits. Differences "
        "are proposed to the operators; --apply adopts them from now on and keeps the price that users pay. "
        "Exit code 0: no differences, or all applied; 1: some were not applied; 2: the feed cannot be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="adopt the feed's prices from now on")
        parser.add_argument(
            "--force", action="store_true", help="with --apply: also prices that differ from ours by more than 10 times"
        )
        parser.add_argument("--format", choices=("table", "json"), default="table")

    def handle(self, *args: Any, apply: bool, force: bool, **options: Any) -> None:
        if force and not apply:
            raise CommandError("--force goes with --apply.", returncode=ERROR)
        try:
            lines = price_sync.compare()
        except ProviderError as error:
            raise CommandError(f"The price feed at {price_sync.feed_url()}: {error}", returncode=ERROR) from None
        applied = 0
        not_applied = [line for line in lines if line.differs]
        if apply:
            applied_lines, not_applied = price_sync.apply(lines, force=force)
            applied = len(applied_lines)
        price_sync.propose(line for line in lines if not apply or line in not_applied or not line.differs)
        if options["format"] == "json":
            result = {"applied": applied, "lines": [_to_json(line) for line in lines]}
            self.stdout.write(json.dumps(result, indent=2))
        else:
            self._print_table(lines, applied=applied, different=len(not_applied))
        sys.exit(DIFFERENT if not_applied else SAME)

    def _print_table(self, lines: list[PriceComparison], *, applied: int, different: int) -> None:
        rows = [HEADER, *(_cells(line) for line in lines if line.differs or line.feed_price is None)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        if len(rows) > 1:
            for first, *cells, note in rows:
                figures = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True))
                self.stdout.write(f"{first.ljust(widths[0])}  {figures}  {note}".rstrip())
        unchanged = sum(line.list_price is not None and line.list_price == line.feed_price for line in lines)
        self.stdout.write(f"{unchanged} as listed, {applied} applied, {different} different")


def _cells(line: PriceComparison) -> tuple[str, ...]:
    list_price, feed_price = line.list_price, line.feed_price
    difference = (
        "-"
        if list_price is None or feed_price is None
        else ("+" if feed_price > list_price else "") + format_plain(feed_price - list_price)
    )
    notes = [*line.notes]
    if line.is_implausible:
        notes.insert(
            0, "looks like a mistake: --force adopts it" if feed_price and feed_price > 0 else "cannot be a price"
        )
    if line.after and line.after.is_negative:
        notes.insert(0, "BELOW COST")
    figures = (
        "-" if list_price is None else format_plain(list_price),
        "-" if feed_price is None else format_plain(feed_price),
        difference,
        "-" if line.user_price is None else str(line.user_price),
        _format_margin(line.before),
        _format_margin(line.after),
    )
    return (str(line.item), *figures, "; ".join(notes))


def _format_margin(margin: Margin | None) -> str:
    if margin is None:
        return "-"
    percent = "" if margin.percent is None else f" ({margin.percent:.0f} %)"
    return f"{margin.usd:+.4f} US${percent}"


def _to_json(line: PriceComparison) -> dict[str, Any]:
    def text(value: object) -> str | None:
        return None if value is None else str(value)

    return {
        **line.item._asdict(),
        "ours_provider_credits": text(line.list_price),
        "feed_provider_credits": text(line.feed_price),
        "user_credits": line.user_price,
        "differs": line.differs,
        "absurd": line.is_implausible,  # the feed's price looks like a mistake
        "margin_usd": text(line.before and line.before.usd),
        "margin_usd_then": text(line.after and line.after.usd),  # if the feed's price is adopted
        "notes": list(line.notes),
    }
