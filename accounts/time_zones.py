"""Time zones: by name, and as a list to choose from."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings

# Regions of the tz database where people live; the rest are aliases and fixed offsets.
REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


def zone_named(name: str) -> ZoneInfo:
    """The zone of that name; the site's when the name is empty or unknown."""
    try:
        return ZoneInfo(name or settings.TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(settings.TIME_ZONE)


@lru_cache(maxsize=1)
def zones_by_region() -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """Every place, as grouped choices: (region, ((name, city), ...)). UTC comes first."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(available_timezones()):
        region, _, city = name.partition("/")
        if city and region in REGIONS:
            places[region].append((name, city.replace("_", " ").replace("/", " · ")))
    return (("UTC", (("UTC", "UTC"),)), *((region, tuple(places[region])) for region in REGIONS))
