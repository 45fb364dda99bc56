"""How a sandbox is asked for: one argument parser for both ways of starting it, and what it yields."""

import argparse
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path

from videos.sandbox.faults import BadOrder, Order, parse

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
    file_life_s: float = DAY_S
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
    orders: tuple[Order, ...] = ()
    settings: Settings = field(default_factory=Settings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare every option. Both doors use this, so they cannot differ."""
    parser.epilog = PROMPTS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--host", type=_loopback, default="127.0.0.1", help="address to listen on; loopback only")
    add("--port", type=int, default=8787, help="port to listen on; 0 takes a free one (default 8787)")
    add("--speed", type=_positive, default=1.0, help="how many times faster than ours its clock runs (default 1)")
    add("--fault", type=_order, action="append", default=[], metavar="ORDER", help="order a fault; may be repeated")
    add("--list-faults", action="store_true", help="list the faults that can be ordered, and leave")
    add("--balance", type=_amount, default=Decimal(5000), help="provider credits at the start (default 5000)")
    add("--api-key", default="sandbox", help="the key clients must send (default: sandbox)")
    add("--hmac-key", default="", metavar="KEY", help="sign callbacks with this key (default: no signature)")
    add("--truth", type=Path, default=None, metavar="FILE", help="append what really happens to FILE, as JSON lines")
    add(
        "--memory", type=Path, default=None, metavar="FILE", help="go on where FILE ends, and keep it (default: forget)"
    )
    add("--seed", type=int, default=1, help="seed of the dice and of the films (default 1)")
    add(
        "--times",
        type=_seconds,
        default=(8.0, 12.0, 20.0),
        metavar="LITE,FAST,QUALITY",
        help="sandbox seconds a video takes (default 8,12,20; the real ones take one to five minutes, and you would wait)",
    )
    add("--invisible", type=float, default=1.0, metavar="SECONDS", help="unknown to record-info so long (default 1)")
    add("--invisible-as", choices=("422", "null"), default="422", help="said as 422 'record is null' or as data null")
    add("--charge", choices=("acceptance", "success"), default="acceptance", help="when credits are taken")
    add("--failed-tasks", choices=("charged", "refunded"), default="charged", help="what a failed task costs")
    add("--http-errors", action="store_true", help="say error codes as HTTP statuses too; the real one answers 200")
    add("--retries", type=_seconds, default=(5.0, 15.0, 45.0), metavar="S,S,S", help="spacing of callback retries")
    add("--file-life", type=_positive, default=float(DAY_S), metavar="SECONDS", help="how long files last (a day)")
    add("--public-url", default="", metavar="URL", help="base of result addresses, when clients reach us by a proxy")
    add(
        "--film",
        choices=("art", "quick"),
        default="art",
        help="quick: plain films, drawn once per size, for load tests",
    )
    add("--until-eof", action="store_true", help="stop when standard input ends, so that no test leaves one behind")


def read_options(given: argparse.Namespace) -> Options:
    return Options(
        host=given.host,
        port=given.port,
        speed=given.speed,
        balance=given.balance,
        seed=given.seed,
        truth=given.truth,
        memory=given.memory,
        until_eof=given.until_eof,
        orders=tuple(given.fault),
        settings=Settings(
            api_key=given.api_key,
            hmac_key=given.hmac_key,
            charge=given.charge,
            failed=given.failed_tasks,
            http_errors=given.http_errors,
            invisible_s=given.invisible,
            invisible_as=given.invisible_as,
            times_s=given.times,
            retries_s=given.retries,
            file_life_s=given.file_life,
            public_url=given.public_url.rstrip("/"),
            film=given.film,
        ),
    )


def _loopback(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        if ip_address(text).is_loopback:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address; the sandbox listens on 127.0.0.1 or ::1 only")


def _order(text: str) -> Order:
    try:
        return parse(text)
    except BadOrder as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return amount


def _seconds(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(","))
    if len(numbers) != 3 or min(numbers) < 0:
        raise argparse.ArgumentTypeError("three numbers of seconds, with commas between")
    return numbers
