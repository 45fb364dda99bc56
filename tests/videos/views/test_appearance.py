"""Measurable appearance: contrasts of the colour tokens, existing icons, and templates that obey the strict CSP."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import Client

from accounts.models import User

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html") if "mail" not in path.parts)
TOKENS = (ROOT / "veoapp/static/css/tokens.css").read_text(encoding="utf-8")

Colour = tuple[float, float, float]


def colours() -> dict[str, tuple[str, str]]:
    """Light and dark value of every token that is a plain colour."""
    tokens = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{3,8}), (#[0-9a-f]{3,8})\);", TOKENS)
    return {name: (light, dark) for name, light, dark in tokens}


def rgb(code: str, under: str = "#ffffff") -> Colour:
    """A colour, laid over `under` where it is transparent; channels 0 to 1."""
    digits = code[1:] if len(code) > 5 else "".join(digit * 2 for digit in code[1:])
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    if len(digits) == 6:
        return red, green, blue
    alpha, below = int(digits[6:], 16) / 255, rgb(under)
    return (
        red * alpha + below[0] * (1 - alpha),
        green * alpha + below[1] * (1 - alpha),
        blue * alpha + below[2] * (1 - alpha),
    )


def luminance(colour: Colour) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: Colour, second: Colour) -> float:
    """Contrast ratio by WCAG, 1 to 21."""
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("background", ["bg", "surface", "raised", "sunken"])
@pytest.mark.parametrize("foreground", ["text", "muted", "faint", "accent", "good", "warn", "bad", "info"])
def test_text_has_enough_contrast_on_every_background(foreground: str, background: str, theme: int) -> None:
    tokens = colours()
    assert contrast(rgb(tokens[foreground][theme]), rgb(tokens[background][theme])) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("tone", ["good", "warn", "bad", "info"])
def test_state_labels_have_enough_contrast_on_their_tint(tone: str, theme: int) -> None:
    tokens = colours()
    for background in ("bg", "surface"):
        tint = rgb(tokens[f"{tone}-soft"][theme], under=tokens[background][theme])
        assert contrast(rgb(tokens[tone][theme]), tint) >= 4.5, background


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_primary_button_and_controls_have_enough_contrast(theme: int) -> None:
    tokens = colours()
    assert contrast(rgb(tokens["accent-ink"][theme]), rgb(tokens["accent"][theme])) >= 4.5
    assert contrast(rgb(tokens["accent-ink"][theme]), rgb(tokens["accent-hover"][theme])) >= 4.5
    for background in ("bg", "surface", "raised", "sunken"):
        assert contrast(rgb(tokens["control"][theme]), rgb(tokens[background][theme])) >= 3
        assert contrast(rgb(tokens["accent"][theme]), rgb(tokens[background][theme])) >= 3


def test_the_sprite_holds_exactly_the_icons_that_templates_use() -> None:
    sprite = (ROOT / "veoapp/static/img/icons.svg").read_text(encoding="utf-8")
    symbols = set(re.findall(r'<symbol id="([a-z0-9-]+)"', sprite))
    used = set(find_icons())
    assert used - symbols == set()
    assert symbols - used == set()


def find_icons() -> Iterator[str]:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r'icon\.html" with name="([a-z0-9-]+)"', text)
        yield from re.findall(r'icon="([a-z0-9-]+)"', text)
    for source in [*(ROOT / "videos").rglob("*.py"), *(ROOT / "veoapp").rglob("*.py")]:
        text = source.read_text(encoding="utf-8")
        yield from re.findall(r'State\(gettext_lazy\([^)]*\), "[a-z]*", "([a-z0-9-]+)"\)', text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_templates_need_no_inline_scripts_or_styles(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert " src=" in script or 'type="application/json"' in script, script
    assert not re.search(r"(src|href)=\"https?://", text)


def test_vendored_styles_refer_to_no_source_map_or_other_host() -> None:
    for path in (ROOT / "veoapp/static").rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text, path
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", text), path


@pytest.mark.parametrize("code", ["400", "403", "403_csrf", "404", "500", "503"])
def test_error_pages_need_no_context(code: str) -> None:
    page = render_to_string(f"{code}.html")
    assert "To the studio" in page
    assert page.count("<h1") == 1


@pytest.mark.django_db
def test_a_missing_page_and_an_expired_form_show_our_error_pages(alice: User) -> None:
    strict_client = Client(enforce_csrf_checks=True)
    strict_client.force_login(alice)
    missing = strict_client.get("/nothing/here")
    assert (missing.status_code, "Page not found" in missing.text) == (404, True)
    expired = strict_client.post("/", {"prompt": "x"})
    assert (expired.status_code, "The form has expired" in expired.text) == (403, True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("theme", "root"),
    [("system", 'data-theme="system"'), ("dark", 'data-bs-theme="dark"'), ("light", 'data-theme="light"')],
)
def test_the_theme_follows_the_users_preference(client: Client, alice: User, theme: str, root: str) -> None:
    alice.theme = theme
    alice.save()
    client.force_login(alice)
    page = client.get("/").text
    assert root in page.split(">", 2)[1]
    assert page.count("<h1") == 1
    assert '<meta name="viewport"' in page
    assert "<title>Studio · veoapp</title>" in page
