"""The Simplified Chinese catalogue, as tests read it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path("veoapp/locale/zh_Hans/LC_MESSAGES")
SOURCES = ("accounts", "billing", "videos", "veoapp", "templates")

Key = tuple[str, str, str]


def source() -> polib.POFile:
    return polib.pofile(str(ROOT / FOLDER / "django.po"))


def compiled() -> polib.MOFile:
    return polib.mofile(str(ROOT / FOLDER / "django.mo"))


def key(entry: polib.POEntry) -> Key:
    """What names an entry: context, text, plural."""
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""


def chinese(entry: polib.POEntry) -> str:
    """The translation; Chinese has one form for all numbers."""
    return str(entry.msgstr_plural[0] if entry.msgid_plural else entry.msgstr)


def texts() -> dict[Key, str]:
    return {key(entry): chinese(entry) for entry in source() if not entry.obsolete}


def in_the_sources(folder: Path) -> set[Key]:
    """Every text that the sources mark for translation, collected in a copy of them under `folder`. Needs GNU gettext."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=_unread)
    shutil.copy(ROOT / "manage.py", folder)
    (folder / FOLDER).mkdir(parents=True)
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "-l", "zh_Hans", "--no-location"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return {key(entry) for entry in polib.pofile(str(folder / FOLDER / "django.po"))}


def placeholders(text: str) -> list[str]:
    """What is filled in, and the tags around it."""
    return sorted(re.findall(r"%\(\w+\)[sd]|%%|</?\w+[^>]*>", text))


def _unread(folder: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name in ("locale", "static", "migrations", "__pycache__")
        or (Path(folder, name).is_file() and not name.endswith((".py", ".html", ".txt")))
    }
