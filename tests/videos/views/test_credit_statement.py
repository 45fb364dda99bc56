"""The credit statement names the videos, and each user reads only their own."""

import pytest
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from tests.people import give_credits
from tests.videos import video_states

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def test_the_statement_names_the_video_and_the_running_balance(signed_in: Client, alice: User) -> None:
    give_credits(alice, 500)
    task = video_states.make_refused(alice, "Portrait of an athlete")
    page = signed_in.get("/credits/").text
    assert f'href="/videos/{task.pk}/"' in page
    assert "Portrait of an athlete" in page
    for text in ("+500", "−60", "+60", "560"):
        assert text in page
    refunds = signed_in.get("/credits/", {"kind": "refunds"})
    assert [entry.amount for entry in refunds.context["entries"]] == [60]


def test_the_statement_has_pages(signed_in: Client, alice: User) -> None:
    for number in range(60):
        ledger.grant(user=alice, user_credits=1, idempotency_key=f"n{number}", note="one more")
    first = signed_in.get("/credits/")
    second = signed_in.get(f"/credits/?{first.context['older_query']}")
    assert (len(first.context["entries"]), len(second.context["entries"])) == (50, 10)
    assert not second.context["older_query"]
    assert signed_in.get("/credits/", {"before": "9" * 40}).status_code == 200


def test_a_user_sees_only_their_own_statement(signed_in: Client, bob: User) -> None:
    give_credits(bob, 777)
    page = signed_in.get("/credits/").text
    assert "777" not in page
    assert "No entries yet" in page
