"""Reads settings from the environment and `.env`; every error says which setting or line to correct."""

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
ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=.*")
DATABASES = ("postgres", "postgresql", "sqlite")


class SettingsError(ImproperlyConfigured):
    """A setting that cannot be used; the text is one sentence that says what to correct."""


def env_file(default: Path) -> Path | None:
    """The `.env` to read: the one that `VEOAPP_ENV_FILE` names, none if it is empty, `default` if it is not set."""
    name = os.environ.get("VEOAPP_ENV_FILE")
    return default if name is None else Path(name) if name else None


def ports_file(var: Path) -> Path | None:
    """The file in which `make run` stores its ports, so that every command of this checkout uses the same addresses.

    Returns None if `VEOAPP_ENV_FILE` is set, because the file that it names then defines every setting.
    """
    return None if "VEOAPP_ENV_FILE" in os.environ else var / "ports.env"


def save_ports(file: Path | None, *, port: int, sandbox_port: int) -> None:
    """Write the ports to `file`, the result of `ports_file`; do nothing if it is None."""
    if file is not None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"PORT={port}\nSANDBOX_PORT={sandbox_port}\n", encoding="utf-8")


class Environment(environ.Env):  # type: ignore[misc]
    """A stricter django-environ: an invalid value raises an error with the setting's name, and empty means the default.

    References to other variables (`$NAME`) are not expanded, so a password may begin with `$`.
    """

    def read_file(self, path: Path | None) -> None:
        """Add the file's values for variables that the environment does not set. Raises SettingsError for a malformed file;
        a missing file is ignored.
        """
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
            if line.strip() and not line.startswith("#") and not ASSIGNMENT.fullmatch(line):
                # The line itself is not shown, because it may contain a secret.
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
        """Return True for `true`, `yes`, `on` or `1` and False for `false`, `no`, `off` or `0`, in any case."""
        value = self.get_value(var, default=default)
        if isinstance(value, str):
            normalised = value.strip().lower()
            if normalised not in TRUE | FALSE:
                raise SettingsError(f"{var} must be true or false, not {value!r}: correct it in .env.")
            return normalised in TRUE
        return builtins.bool(value)

    def list(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET) -> Any:
        """Return a list of values, which are separated by commas; spaces around them are removed."""
        value = self.get_value(var, default=default)
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    def decimal(self, var: str, default: str) -> Decimal:
        """Return an exact decimal number, for credits and US$."""
        value = self.get_value(var, default=default)
        number = self._read(var, value, lambda: Decimal(value))
        if not number.is_finite():
            raise SettingsError(f"{var} must be a number, not {value!r}: correct it in .env.")
        return number

    def db_url(self, var: str, default: Any = environ.Env.NOTSET, engine: Any = None) -> Any:
        """Return Django's database settings from an address such as postgres://user:password@host/name, {} if empty."""
        value = self.get_value(var, default=default)
        if not value:
            return {}
        if urlsplit(value).scheme not in DATABASES:
            raise SettingsError(f"{var} must be like postgres://user:password@host/name: correct it in .env.")
        return self._read(var, "", lambda: self.db_url_config(value, engine=engine))

    def email_url(self, var: str, default: Any = environ.Env.NOTSET, backend: Any = None) -> Any:
        """Return Django's mail settings from an address such as smtp+tls://user:password@host:587."""
        return self._read(var, "", lambda: super(Environment, self).email_url(var, default=default, backend=backend))

    @staticmethod
    def _read(var: str, shown: str, read: Callable[[], T]) -> T:
        """Call `read` and turn its errors into a sentence with the variable's name.

        `shown` is the value that the sentence repeats. It is empty for addresses, because they contain passwords.
        """
        try:
            return read()
        except SettingsError:
            raise
        except (ArithmeticError, KeyError, ValueError, ImproperlyConfigured):
            quoted = f" {shown!r}" if shown else ""
            raise SettingsError(f"{var} has a value{quoted} that cannot be read: correct it in .env.") from None
