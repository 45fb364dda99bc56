"""The Simplified Chinese catalogue, as tests read it."""

import ast
import re
from pathlib import Path

import polib
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path("veoapp/locale/zh_Hans/LC_MESSAGES")
SOURCES = ("accounts", "billing", "videos", "veoapp", "templates")
QUOTED = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b(?:_|n?gettext|pgettext)\({QUOTED}(?:, {QUOTED})*")

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


def in_the_sources() -> set[Key]:
    """Every text that code and templates mark for translation, read as gettext's own tools read them, without them."""
    found: set[Key] = set()
    for name in SOURCES:
        for path in sorted((ROOT / name).rglob("*")):
            if path.suffix == ".py":
                found |= _in_code(path.read_text(encoding="utf-8"))
            elif path.suffix in (".html", ".txt") and "templates" in path.parts:
                # Django turns a template into calls of gettext amid noise; each call alone is code.
                calls = CALL.finditer(templatize(path.read_text(encoding="utf-8")))
                found |= _in_code("\n".join(f"{call[0]})" for call in calls))
    return found


def placeholders(text: str) -> list[str]:
    """What is filled in, and the tags around it."""
    return sorted(re.findall(r"%\(\w+\)[sd]|%%|</?\w+[^>]*>", text))


def _in_code(text: str) -> set[Key]:
    return {
        named
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and (named := _marked(node.func, [_constant(given) for given in node.args]))
    }


def _marked(function: ast.expr, given: list[str]) -> Key | None:
    """What a call marks for translation, if it is one of gettext's."""
    name = getattr(function, "id", getattr(function, "attr", "")).removesuffix("_lazy").removesuffix("_noop")
    if name in ("_", "gettext"):
        # What is looked up by name was marked where it was written.
        return ("", given[0], "") if given[0] else None
    if name == "ngettext":
        return "", given[0], given[1]
    if name == "pgettext":
        return given[0], given[1], ""
    return None


def _constant(given: ast.expr) -> str:
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""
