"""The Chinese texts: complete, compiled, faithful to their placeholders, set as Chinese is set."""

import re
from collections.abc import Iterator

import pytest

from tests.i18n import catalogue

HAN = "\u4e00-\u9fff"
# One line of the catalogue's own rules each: what may not stand in a translation, and why.
NEVER = {
    "exclamation marks": re.compile(r"[!！]"),
    "您: people are addressed as 你": re.compile("您"),
    "narrow punctuation beside Chinese": re.compile(rf"[{HAN}][,;:?!()]|[,;?!()][{HAN}]"),
    "quotation marks that the Latin font draws narrow": re.compile('[“”‘’"]'),
    "no space between Chinese and Latin": re.compile(rf"[{HAN}][A-Za-z0-9]|[A-Za-z0-9][{HAN}]"),
    "a space where Chinese has none": re.compile(rf"[{HAN}，。、：；？（）「」] +[{HAN}，。、：；？（）「」]"),
}


def sentences() -> Iterator[tuple[str, str]]:
    """Each English text with its Chinese, placeholders and tags out of the way."""
    for (_, english, _), chinese in catalogue.texts().items():
        yield english, re.sub(r"%\(\w+\)[sd]|</?\w+[^>]*>|`[^`]*`", "∎", chinese)


def test_the_compiled_file_says_what_its_source_says() -> None:
    compiled = {catalogue.key(entry): catalogue.chinese(entry) for entry in catalogue.compiled()}
    assert compiled == catalogue.texts()


def test_nothing_is_untranslated_doubtful_or_left_over() -> None:
    source = catalogue.source()
    assert [entry.msgid for entry in source if not catalogue.chinese(entry)] == []
    assert [entry.msgid for entry in source if entry.fuzzy or entry.obsolete] == []
    assert source.metadata["Plural-Forms"] == "nplurals=1; plural=0;"


def test_every_text_of_the_sources_is_in_the_catalogue_and_no_other() -> None:
    found, known = catalogue.in_the_sources(), set(catalogue.texts())
    assert sorted(found - known) == [], "not translated: run `make messages`"
    assert sorted(known - found) == [], "no longer said"


def test_each_translation_fills_in_what_its_text_fills_in() -> None:
    for (_, singular, plural), chinese in catalogue.texts().items():
        assert catalogue.placeholders(chinese) == catalogue.placeholders(plural or singular), singular


@pytest.mark.parametrize("rule", NEVER)
def test_translations_are_set_as_chinese_is_set(rule: str) -> None:
    assert [chinese for _, chinese in sentences() if NEVER[rule].search(chinese)] == []


def test_sentences_end_as_sentences_where_english_ones_do() -> None:
    unlike = [
        chinese
        for english, chinese in sentences()
        if bool(re.search(r"[^.]\.$", english)) != chinese.endswith("。") and re.search(rf"[{HAN}]", chinese)
    ]
    assert unlike == []
