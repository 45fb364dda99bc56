"""Reads the Simplified Chinese catalogue and the texts that the sources mark for translation."""

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


def read_source() -> polib.POFile:
    return polib.pofile(str(ROOT / FOLDER / "django.po"))


def read_compiled() -> polib.MOFile:
    return polib.mofile(str(ROOT / FOLDER / "django.mo"))


def get_key(entry: polib.POEntry) -> Key:
    """The identity of an entry: context, text, plural."""
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural or ""


def get_translation(entry: polib.POEntry) -> str:
    """The translation; Chinese has one plural form."""
    return str(entry.msgstr_plural[0] if entry.msgid_plural else entry.msgstr)


def read_translations() -> dict[Key, str]:
    return {get_key(entry): get_translation(entry) for entry in read_source() if not entry.obsolete}


def find_marked_texts() -> set[Key]:
    """Every text that code and templates mark for translation, found without gettext's tools, which need not be installed."""
    marked: set[Key] = set()
    for name in SOURCES:
        for path in sorted((ROOT / name).rglob("*")):
            if path.suffix == ".py":
                marked |= _find_in_code(path.read_text(encoding="utf-8"))
            elif path.suffix in (".html", ".txt") and "templates" in path.parts:
                # `templatize` turns a template into gettext calls among other text.
                calls = CALL.finditer(templatize(path.read_text(encoding="utf-8")))
                marked |= _find_in_code("\n".join(f"{call[0]})" for call in calls))
    return marked


def list_placeholders(text: str) -> list[str]:
    """Placeholders and tags in a text."""
    return sorted(re.findall(r"%\(\w+\)[sd]|%%|</?\w+[^>]*>", text))


def _find_in_code(text: str) -> set[Key]:
    return {
        key
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and (key := _get_marked_key(node.func, [_get_constant(argument) for argument in node.args]))
    }


def _get_marked_key(function: ast.expr, arguments: list[str]) -> Key | None:
    """The text that a gettext call marks for translation; None for other calls."""
    name = getattr(function, "id", getattr(function, "attr", "")).removesuffix("_lazy").removesuffix("_noop")
    if name in ("_", "gettext"):
        # A call with a variable looks up a text that is marked elsewhere.
        return ("", arguments[0], "") if arguments[0] else None
    if name == "ngettext":
        return "", arguments[0], arguments[1]
    if name == "pgettext":
        return arguments[0], arguments[1], ""
    return None


def _get_constant(argument: ast.expr) -> str:
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""
