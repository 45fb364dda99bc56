"""The Chinese translations are complete and compiled, keep their placeholders, and follow Chinese typography."""

import re
from collections.abc import Iterator

import pytest

from tests.i18n import catalogue

HAN = "\u4e00-\u9fff"
# Rules from the head of the catalogue: what a translation must not contain.
FORBIDDEN = {
    "exclamation marks": re.compile(r"[!！]"),
    "您: people are addressed as 你": re.compile("您"),
    "narrow punctuation beside Chinese": re.compile(rf"[{HAN}][,;:?!()]|[,;?!()][{HAN}]"),
    "quotation marks that the Latin font draws narrow": re.compile('[“”‘’"]'),
    "no space between Chinese and Latin": re.compile(rf"[{HAN}][A-Za-z0-9]|[A-Za-z0-9][{HAN}]"),
    "a space where Chinese has none": re.compile(rf"[{HAN}，。、：；？（）「」] +[{HAN}，。、：；？（）「」]"),
}


def list_sentences() -> Iterator[tuple[str, str]]:
    """Each English text with its translation, in which placeholders and tags are replaced."""
    for (_, english, _), chinese in catalogue.read_translations().items():
        yield english, re.sub(r"%\(\w+\)[sd]|</?\w+[^>]*>|`[^`]*`", "∎", chinese)


def test_the_compiled_file_matches_its_source() -> None:
    compiled = {catalogue.get_key(entry): catalogue.get_translation(entry) for entry in catalogue.read_compiled()}
    assert compiled == catalogue.read_translations()


def test_no_entry_is_untranslated_fuzzy_or_obsolete() -> None:
    source = catalogue.read_source()
    assert [entry.msgid for entry in source if not catalogue.get_translation(entry)] == []
    assert [entry.msgid for entry in source if entry.fuzzy or entry.obsolete] == []
    assert source.metadata["Plural-Forms"] == "nplurals=1; plural=0;"


def test_the_catalogue_contains_exactly_the_texts_of_the_sources() -> None:
    marked, translated = catalogue.find_marked_texts(), set(catalogue.read_translations())
    assert sorted(marked - translated) == [], "not translated: run `make messages`"
    assert sorted(translated - marked) == [], "no longer used"


def test_translations_have_the_placeholders_of_their_texts() -> None:
    for (_, singular, plural), chinese in catalogue.read_translations().items():
        assert catalogue.list_placeholders(chinese) == catalogue.list_placeholders(plural or singular), singular


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_translations_follow_chinese_typography(rule: str) -> None:
    assert [chinese for _, chinese in list_sentences() if FORBIDDEN[rule].search(chinese)] == []


def test_translations_end_with_a_full_stop_where_the_english_text_does() -> None:
    mismatched = [
        chinese
        for english, chinese in list_sentences()
        if bool(re.search(r"[^.]\.$", english)) != chinese.endswith("。") and re.search(rf"[{HAN}]", chinese)
    ]
    assert mismatched == []
