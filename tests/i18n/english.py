"""Finds English text in pages and e-mails that should be Chinese."""

import re
from html.parser import HTMLParser

# Names and codes that are the same in every language.
NAMES = (
    r"for a test|read timeout|Veo( 3\.1( (Fast|Quality|Lite))?)?|veoapp|WebP|JPEG|PNG|JavaScript|English|sha256|UTC"
    r"|the vendor's own words"
    r"|Fast|Quality|Lite|KIE_AI_API_KEY|manage\.py( worker)?|MB|KB|Auto|SPAM|PIN|ID|URL|Chrome|Firefox|Linux|X11|Alice|Olga"
    r"|[A-Z]{4}-[A-Z]{4}|\S+@\S+|https?://\S+|video:[0-9a-f-]+|[0-9a-f]{8,}[0-9a-f-]*|None fps|[A-Z][a-z]+/[A-Za-z_/-]+"
)
ENGLISH = re.compile(r"[A-Za-z][a-z’']*[a-z](?:[ ,.:;]+[A-Za-z’']+)*")
# Names of time zones (options) are not translated.
IGNORED_TAGS = {"script", "style", "code", "pre", "svg", "option"}
TEXT_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt", "data-add", "data-unit", "data-unit-han")


class VisibleText(HTMLParser):
    """Collects the texts of a page that users see or that screen readers read."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._ignored_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._ignored_depth += tag in IGNORED_TAGS
        self.texts += [value for name, value in attrs if name in TEXT_ATTRIBUTES and value]
        values = dict(attrs)
        if tag == "meta" and values.get("name") == "description":
            self.texts.append(values["content"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._ignored_depth -= tag in IGNORED_TAGS

    def handle_data(self, data: str) -> None:
        if not self._ignored_depth:
            self.texts.append(" ".join(data.split()))


def find_english(page: str) -> set[str]:
    """English phrases in a page, without names and codes."""
    parser = VisibleText()
    parser.feed(page)
    return find_english_in_texts(parser.texts)


def find_english_in_texts(texts: list[str]) -> set[str]:
    return {match for text in texts for match in ENGLISH.findall(re.sub(NAMES, "", text)) if len(match) > 2}


# Texts of Django and allauth without a translation: alternative texts and a few columns.
UNTRANSLATED = {
    "Search",
    "True",
    "False",
    "Type",
    "Created at",
    "Last seen at",
    "Last used at",
    "Control",
    "Command",
    "Mac",
}
CODE = re.compile(r"[a-z.]+|video [A-Z]+")
