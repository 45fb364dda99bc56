"""How a sandbox is asked for: one argument parser for both ways of starting it, and what it yields."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path

from videos.sandbox.faults.orders import Order, parse

DAY_S = 86400
PROMPTS = """\
Words in a prompt that a newcomer can try:
  [refuse]  refused at once: code 400, content policy
  [fail]    accepted, then successFlag 3 with errorCode 422 "failed"
  [slow]    takes five times as long
  [stuck]   never ends
  [lost]    accepted, but the answer never comes

Faults: NAME[=COUNT][:ARG][@PROBABILITY], as in `drop-answer`, `drop-answer=2` (the first two only),
`slow-answer:20`, `no-callback@0.3` (three in ten, from the seeded source). --list-faults shows them.

Time: --speed makes the sandbox's clock run faster, and with it generation, invisibility, expiry, the spacing of
callback retries and the window of 20 requests per 10 seconds. What a network does (slow answers, latency, the
15 s a callback's receiver has) stays in real seconds.
"""


@dataclass(slots=True, kw_only=True)
class Settings:
    """What may also be changed while running, by POST /_sandbox/settings."""

    api_key: str = field(default="sandbox", repr=False)
    hmac_key: str = field(default="", repr=False)
    charge: str = "acceptance"  # or "success"
    failed: str = "charged"  # or "refunded"
    http_errors: bool = False
    invisible_s: float = 1.0
    invisible_as: str = "422"  # or "null"
    times_s: tuple[float, ...] = (8.0, 12.0, 20.0)
    retries_s: tuple[float, ...] = (5.0, 15.0, 45.0)
    file_life_s: float = float(DAY_S)
    public_url: str = ""
    film: str = "art"  # or "quick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is fixed at the start."""

    host: str = "127.0.0.1"
    port: int = 8787
    speed: float = 1.0
    balance: Decimal = Decimal(5000)
    seed: int = 1
    truth: Path | None = None
    memory: Path | None = None
    until_eof: bool = False
    faults: Sequence[Order] = ()
    settings: Settings = field(default_factory=Settings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare every option; each is stored under the name it has in Options or Settings, and has its default there."""
    parser.epilog = PROMPTS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    settings = Settings()
    parser.set_defaults(**{spec.name: getattr(settings, spec.name) for spec in fields(Settings)})
    add = parser.add_argument
    add("--host", type=_loopback, default="127.0.0.1", help="address to listen on; loopback only")
    add("--port", type=int, default=8787, help="port to listen on; 0 takes a free one (default 8787)")
    add("--speed", type=_positive, default=1.0, help="how many times faster than real time its clock runs (default 1)")
    add(
        "--fault",
        dest="faults",
        type=parse,
        action="append",
        default=[],
        metavar="ORDER",
        help="order a fault; may be repeated",
    )
    add("--list-faults", action="store_true", help="list the faults that can be ordered, and leave")
    add("--balance", type=amount, default=Decimal(5000), help="provider credits at the start (default 5000)")
    add("--api-key", help="the key clients must send (default: sandbox)")
    add("--hmac-key", metavar="KEY", help="sign callbacks with this key (default: no signature)")
    add("--truth", type=Path, metavar="FILE", help="append what really happens to FILE, as JSON lines")
    add("--memory", type=Path, metavar="FILE", help="go on where FILE ends, and keep it (default: forget)")
    add("--seed", type=int, default=1, help="seed of the random numbers and of the videos (default 1)")
    add(
        "--times",
        dest="times_s",
        type=_seconds,
        metavar="LITE,FAST,QUALITY",
        help="sandbox seconds a video takes (default 8,12,20; the real ones take one to five minutes, and you would wait)",
    )
    add(
        "--invisible",
        dest="invisible_s",
        type=float,
        metavar="SECONDS",
        help="unknown to record-info so long (default 1)",
    )
    add("--invisible-as", choices=("422", "null"), help="answered as 422 'record is null' or as data null")
    add("--charge", choices=("acceptance", "success"), help="when credits are taken")
    add("--failed-tasks", dest="failed", choices=("charged", "refunded"), help="what a failed task costs")
    add("--http-errors", action="store_true", help="give error codes as HTTP statuses too; the real one answers 200")
    add("--retries", dest="retries_s", type=_seconds, metavar="S,S,S", help="spacing of callback retries")
    add("--file-life", dest="file_life_s", type=_positive, metavar="SECONDS", help="how long files last (a day)")
    add("--public-url", metavar="URL", help="base of result addresses, when clients reach us by a proxy")
    add("--film", choices=("art", "quick"), help="quick: plain videos, drawn once per size, for load tests")
    add("--until-eof", action="store_true", help="stop when standard input ends, so that no test leaves one behind")


def read_options(given: argparse.Namespace) -> Options:
    settings = Settings(**{spec.name: getattr(given, spec.name) for spec in fields(Settings)})
    settings.public_url = settings.public_url.rstrip("/")
    fixed = {spec.name: getattr(given, spec.name) for spec in fields(Options) if spec.name != "settings"}
    return Options(**fixed, settings=settings)


def amount(value: object) -> Decimal:
    """A number of credits; ValueError for anything but 0 or more."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None
    if not found.is_finite() or found < 0:
        raise ValueError("amounts are 0 or more")
    return found


def _loopback(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        if ip_address(text).is_loopback:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address; the sandbox listens on 127.0.0.1 or ::1 only")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _seconds(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(","))
    if len(numbers) != 3 or min(numbers) < 0:
        raise argparse.ArgumentTypeError("three numbers of seconds, with commas between")
    return numbers
