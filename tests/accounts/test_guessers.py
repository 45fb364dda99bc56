"""Counting who tries wrong secrets."""

from accounts.guessers import KEPT_CLIENTS, MOST_PER_WINDOW, WINDOW_S, Guessers


def test_a_client_is_heard_until_it_was_wrong_too_often_and_again_in_the_next_window() -> None:
    wrong = Guessers()
    for _ in range(MOST_PER_WINDOW - 1):
        wrong.note("1.2.3.4", at_s=10)
    assert not wrong.is_too_many("1.2.3.4", at_s=10)
    wrong.note("1.2.3.4", at_s=10)
    assert wrong.is_too_many("1.2.3.4", at_s=10)
    assert not wrong.is_too_many("5.6.7.8", at_s=10)
    assert not wrong.is_too_many("1.2.3.4", at_s=10 + WINDOW_S)


def test_a_flood_from_everywhere_takes_a_bounded_memory() -> None:
    wrong = Guessers()
    for number in range(KEPT_CLIENTS + 5):
        wrong.note(str(number), at_s=0)
    assert len(wrong._counts) == KEPT_CLIENTS
