"""The command-line options of a sandbox, shared by both ways of starting it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path

from videos.sandbox.faults.orders import Order, parse

DAY_S = 86400
PROMPTS = """\
Words in a prompt that have an effect:
  [refuse]  refused at once: code 400, content policy
  [fail]    accepted, then successFlag 3 with errorCode 422 "failed"
  [slow]    takes five times as long
  [stuck]   never ends
  [lost]    accepted, but the connection closes without a reply

Faults: NAME[=COUNT][:ARG][@PROBABILITY], as in `drop-answer`, `drop-answer=2` (the first two only),
`slow-answer:20`, `no-callback@0.3` (three in ten, chosen by --seed). --list-faults shows them.

Time: --speed makes the sandbox's clock run faster, and with it generation, invisibility, expiry, the intervals of
callback retries and the window of 20 requests per 10 seconds. Network delays (slow replies, latency, the 15 s
timeout of a callback) stay in real seconds.
"""


@dataclass(slots=True, kw_only=True)
class Settings:
    """Options that can also be changed while running, by POST /_sandbox/settings."""

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
    film: str = "art"  # or "quick", see --film; how videos are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that are fixed at the start."""

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
    """Declare every option under the name that it has in Options or Settings."""
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
    add("--list-faults", action="store_true", help="list the faults that can be ordered, and exit")
    add("--balance", type=amount, default=Decimal(5000), help="provider credits at the start (default 5000)")
    add("--api-key", help="the key clients must send (default: sandbox)")
    add("--hmac-key", metavar="KEY", help="sign callbacks with this key (default: no signature)")
    add("--truth", type=Path, metavar="FILE", help="append every event to FILE, as JSON lines")
    add("--memory", type=Path, metavar="FILE", help="restore the state from FILE and save it there")
    add("--seed", type=int, default=1, help="seed of the random numbers and of the videos (default 1)")
    add(
        "--times",
        dest="times_s",
        type=_seconds,
        metavar="LITE,FAST,QUALITY",
        help="sandbox seconds a video takes (default 8,12,20; at kie.ai it takes one to five minutes)",
    )
    add(
        "--invisible",
        dest="invisible_s",
        type=float,
        metavar="SECONDS",
        help="how long record-info does not know a new task (default 1)",
    )
    add("--invisible-as", choices=("422", "null"), help="reply until then: 422 'record is null', or data null")
    add("--charge", choices=("acceptance", "success"), help="when credits are charged")
    add("--failed-tasks", dest="failed", choices=("charged", "refunded"), help="what a failed task costs")
    add("--http-errors", action="store_true", help="send error codes also as HTTP statuses; kie.ai sends 200")
    add("--retries", dest="retries_s", type=_seconds, metavar="S,S,S", help="seconds between callback retries")
    add("--file-life", dest="file_life_s", type=_positive, metavar="SECONDS", help="how long files last (a day)")
    add("--public-url", metavar="URL", help="base of result URLs, if clients connect through a proxy")
    add("--film", choices=("art", "quick"), help="quick: plain videos, drawn once per size, for load tests")
    add("--until-eof", action="store_true", help="stop when standard input ends, for example when a test ends")


def read_options(arguments: argparse.Namespace) -> Options:
    settings = Settings(**{spec.name: getattr(arguments, spec.name) for spec in fields(Settings)})
    settings.public_url = settings.public_url.rstrip("/")
    fixed = {spec.name: getattr(arguments, spec.name) for spec in fields(Options) if spec.name != "settings"}
    return Options(**fixed, settings=settings)


def amount(value: object) -> Decimal:
    """A number of credits. Raises ValueError unless it is 0 or more."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None
    if not parsed.is_finite() or parsed < 0:
        raise ValueError("amounts are 0 or more")
    return parsed


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
        raise argparse.ArgumentTypeError("three numbers of seconds, separated by commas")
    return numbers
