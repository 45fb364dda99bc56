"""Finds time zones by name, and lists them as choices of a form field."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings

# The tz database's geographic regions; the rest are aliases and fixed offsets.
REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


def get_zone(name: str) -> ZoneInfo:
    """The zone of that name, or the site's zone if the name is empty or unknown."""
    try:
        return ZoneInfo(name or settings.TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(settings.TIME_ZONE)


@lru_cache(maxsize=1)
def list_zones_by_region() -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """Grouped choices for a form field: (region, ((zone name, city), ...)), with UTC first."""
    cities: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(available_timezones()):
        region, _, city = name.partition("/")
        if city and region in REGIONS:
            cities[region].append((name, city.replace("_", " ").replace("/", " · ")))
    return (("UTC", (("UTC", "UTC"),)), *((region, tuple(cities[region])) for region in REGIONS))
