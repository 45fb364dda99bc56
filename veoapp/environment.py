"""Settings from the environment and `.env`, where whatever is wrong is named with its place and its remedy."""

import builtins
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
LINE = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=.*")
DATABASES = ("postgres", "postgresql", "sqlite")


class SettingsError(ImproperlyConfigured):
    """A setting that cannot be used; the text is one sentence for the person who can correct it."""


def env_file(default: Path) -> Path | None:
    """The `.env` to read: the one `VEOAPP_ENV_FILE` names, none if it is set to nothing, else `default`."""
    named = os.environ.get("VEOAPP_ENV_FILE")
    return default if named is None else Path(named) if named else None


def ports_file(var: Path) -> Path | None:
    """Where `make run` notes its ports, so that every command of this checkout finds the same site; None beside an env file
    of somebody's choice, which says what it wants said.
    """
    return None if "VEOAPP_ENV_FILE" in os.environ else var / "ports.env"


def note_ports(file: Path | None, *, port: int, sandbox_port: int) -> None:
    """Write them where `ports_file` says; nothing when it says nowhere."""
    if file is not None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"PORT={port}\nSANDBOX_PORT={sandbox_port}\n", encoding="utf-8")


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ, stricter: a typing error is an error with a name, an empty value means the default.

    Values are taken as they stand: a password may begin with `$`.
    """

    def read_file(self, path: Path | None) -> None:
        """Add what the file says to the environment, which wins. A missing file says nothing; a broken one raises."""
        if path is None:
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} cannot be read ({error}): correct it, or delete it and run `make setup`."
            ) from None
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.startswith("#") and not LINE.fullmatch(line):
                # The line itself is not shown: it may be half of a secret.
                raise SettingsError(f"{path}, line {number} is not of the form NAME=value: correct or remove it.")
        self.read_env(path)

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: builtins.bool = False
    ) -> Any:
        value = self.ENVIRON.get(var, "")
        if value == "":
            if default is self.NOTSET:
                raise SettingsError(f"{var} is not set: add it to .env, where .env.example explains it.")
            return default
        if cast in (None, str):
            return value
        return self._read(var, value, lambda: self.parse_value(value, cast))

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> builtins.bool:
        """`true yes on 1` or `false no off 0`, in any case."""
        value = self.get_value(var, default=default)
        if isinstance(value, str):
            word = value.strip().lower()
            if word not in TRUE | FALSE:
                raise SettingsError(f"{var} must be true or false, not {value!r}: correct it in .env.")
            return word in TRUE
        return builtins.bool(value)

    def list(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET) -> Any:
        """Values between commas; blanks around them do not count."""
        value = self.get_value(var, default=default)
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    def decimal(self, var: str, default: str) -> Decimal:
        """A decimal number, as credits and US$ are."""
        value = self.get_value(var, default=default)
        number = self._read(var, value, lambda: Decimal(value))
        if not number.is_finite():
            raise SettingsError(f"{var} must be a number, not {value!r}: correct it in .env.")
        return number

    def db_url(self, var: str, default: Any = environ.Env.NOTSET, engine: Any = None) -> Any:
        """Django's settings of a database, from an address such as postgres://user:password@host/name; {} without one."""
        value = self.get_value(var, default=default)
        if not value:
            return {}
        if urlsplit(value).scheme not in DATABASES:
            raise SettingsError(f"{var} must be like postgres://user:password@host/name: correct it in .env.")
        return self._read(var, "", lambda: self.db_url_config(value, engine=engine))

    def email_url(self, var: str, default: Any = environ.Env.NOTSET, backend: Any = None) -> Any:
        """Django's settings of outgoing mail, from an address such as smtp+tls://user:password@host:587."""
        return self._read(var, "", lambda: super(Environment, self).email_url(var, default=default, backend=backend))

    @staticmethod
    def _read(var: str, shown: str, read: Callable[[], T]) -> T:
        """Call `read`; what it raises becomes a sentence with the variable's name.

        `shown` is the value as the sentence may repeat it: empty for addresses, which hold passwords.
        """
        try:
            return read()
        except SettingsError:
            raise
        except (ArithmeticError, KeyError, ValueError, ImproperlyConfigured):
            given = f" {shown!r}" if shown else ""
            raise SettingsError(f"{var} has a value{given} that cannot be read: correct it in .env.") from None
