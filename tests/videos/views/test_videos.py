"""The gallery and a video's own page: every state says honestly what is, what it cost, and what to do now."""

import re
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from billing.credits import ledger
from tests.people import give_credits
from tests.videos import takes
from videos.models import TaskEvent, VideoTask
from videos.presentation import timeline
from videos.presentation.tiles import STATES
from videos.providers.base import RefusalReason

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

LIVE = {"HX-Request": "true"}
NOBODYS = "/videos/00000000-0000-4000-8000-000000000000/"


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


# --- Whose it is ------------------------------------------------------------------------------------------------------


def test_f80_every_page_of_somebody_elses_video_does_not_exist(signed_in: Client, bob: User) -> None:
    task = takes.ready(bob)
    waiting = takes.queued(bob)
    for path in ("", "delete/", "file", "poster", "file?download=1"):
        assert signed_in.get(f"/videos/{task.pk}/{path}").status_code == 404, path
        assert signed_in.get(f"/videos/{task.pk}/{path}", headers=LIVE).status_code == 404, path
    assert signed_in.post(f"/videos/{task.pk}/delete/").status_code == 404
    assert signed_in.post(f"/videos/{waiting.pk}/cancel/").status_code == 404
    assert signed_in.get(f"/?from={task.pk}").status_code == 404
    assert str(task.pk) not in signed_in.get("/videos/").text
    assert str(task.pk) not in signed_in.get("/videos/", {"live": str(task.pk)}, headers=LIVE).text
    assert VideoTask.objects.get(pk=waiting.pk).status == "queued"
    assert VideoTask.objects.get(pk=task.pk).deleted_at is None


@pytest.mark.parametrize("path", ["/videos/", NOBODYS, "/credits/", "/quote/", "/images/?slot=first"])
def test_strangers_are_asked_to_sign_in(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/")


def test_looking_changes_nothing(signed_in: Client, alice: User) -> None:
    done, waiting = takes.ready(alice), takes.queued(alice)
    paths = ["/", f"/?from={done.pk}", "/?example=dunes", "/quote/", "/images/?slot=first", "/videos/", "/credits/"]
    paths += [f"/videos/{task.pk}/" for task in (done, waiting)] + [f"/videos/{done.pk}/delete/"]
    for path in paths:
        for headers in (None, LIVE):
            with CaptureQueriesContext(
                connection,
            ) as asked:
                signed_in.get(path, headers=headers)
            written = [query["sql"] for query in asked if _writes(query["sql"])]
            assert written == [], path
    assert signed_in.get(f"/videos/{waiting.pk}/cancel/").status_code == 405
    assert VideoTask.objects.get(pk=waiting.pk).status == "queued"


def _writes(sql: str) -> bool:
    """Whether a statement changes rows of ours; the cache and the list of one's browsers may remember a visit."""
    remembers = "cache_entries" in sql or "usersessions" in sql
    return bool(re.match(r"(INSERT|UPDATE|DELETE)", sql)) and not remembers


# --- The gallery ------------------------------------------------------------------------------------------------------


def test_an_empty_gallery_teaches(signed_in: Client) -> None:
    page = signed_in.get("/videos/").text
    assert "Your videos live here" in page
    assert 'href="/"' in page


def test_every_state_has_its_tile(signed_in: Client, alice: User) -> None:
    made = [
        takes.queued(alice),
        takes.submitting(alice),
        takes.unconfirmed(alice),
        takes.generating(alice),
        takes.ready(alice),
        takes.refused(alice),
        takes.cancelled(alice),
        takes.late(alice),
    ]
    page = signed_in.get("/videos/").text
    for task in made:
        assert f'id="take-{task.pk}"' in page
    for words in ("Waiting", "Sending", "Not known yet", "Generating", "Refused by the provider", "Cancelled"):
        assert words in page
    assert page.count("Edit and retry") == 1
    assert 'hx-trigger="every 2s"' in page


@pytest.mark.parametrize(
    ("state", "shown"), [("live", {"live"}), ("ready", {"ready", "late"}), ("failed", {"failed", "cancelled"})]
)
def test_the_gallery_is_sifted_by_state(signed_in: Client, alice: User, state: str, shown: set[str]) -> None:
    made = {
        "live": takes.generating(alice),
        "ready": takes.ready(alice),
        "late": takes.late(alice),
        "failed": takes.refused(alice),
        "cancelled": takes.cancelled(alice),
    }
    page = signed_in.get("/videos/", {"state": state}).text
    assert {name for name, task in made.items() if f'id="take-{task.pk}"' in page} == shown


def test_the_gallery_is_searched_by_the_words_of_the_prompt(signed_in: Client, alice: User) -> None:
    fox, owl = takes.queued(alice, "A fox in the snow"), takes.queued(alice, "An owl in the SNOW at night")
    assert _shown(signed_in, q="snow") == [owl.pk, fox.pk]
    assert _shown(signed_in, q="night snow") == [owl.pk]
    nothing = signed_in.get("/videos/", {"q": "whale"}).text
    assert "Nothing like that" in nothing
    assert 'value="whale"' in nothing
    assert _shown(signed_in, q="100%_'\"<") == []


def test_older_pages_follow_without_gaps_or_repeats(signed_in: Client, alice: User, settings: Any) -> None:
    settings.MAX_ACTIVE_PER_USER = 100
    made = [takes.queued(alice, f"take {number}").pk for number in range(30)]
    VideoTask.objects.filter(pk__in=made[5:12]).update(created_at=VideoTask.objects.get(pk=made[5]).created_at)
    first = signed_in.get("/videos/")
    second = signed_in.get("/videos/", {"before": first.context["older_query"]})
    ids = [take.id for page in (first, second) for take in page.context["takes"]]
    assert len(ids) == 30
    assert set(ids) == set(made)
    assert second.context["older_query"] == ""
    assert "Newest" in second.text


@pytest.mark.parametrize("cursor", ["x", "2026-01-01_x", "2026-01-01T00:00:00_" + "0" * 32, "_", "9" * 400])
def test_a_cursor_that_nobody_gave_out_is_the_first_page(signed_in: Client, alice: User, cursor: str) -> None:
    task = takes.queued(alice)
    assert _shown(signed_in, before=cursor) == [task.pk]


def test_the_live_answer_holds_only_what_was_unfinished_and_then_stops(signed_in: Client, alice: User) -> None:
    done, task = takes.ready(alice), takes.generating(alice)
    live = signed_in.get("/videos/", {"live": [str(task.pk)]}, headers=LIVE)
    assert live.status_code == 200
    assert f'id="take-{task.pk}" hx-swap-oob="true"' in live.text
    assert str(done.pk) not in live.text
    takes.finish(task)
    last = signed_in.get("/videos/", {"live": [str(task.pk)]}, headers=LIVE)
    assert last.status_code == 286
    assert "hx-trigger" not in last.text
    assert f"/videos/{task.pk}/poster" in last.text


def test_a_full_gallery_asks_the_database_no_more_than_an_empty_one(signed_in: Client, alice: User) -> None:
    takes.ready(alice)
    signed_in.get("/videos/")
    with CaptureQueriesContext(connection) as few:
        signed_in.get("/videos/")
    for _ in range(6):
        takes.ready(alice)
    with CaptureQueriesContext(connection) as many:
        signed_in.get("/videos/")
    assert len(many) == len(few)


def _shown(client: Client, **query: str) -> list[object]:
    return [take.id for take in client.get("/videos/", query).context["takes"]]


# --- One video --------------------------------------------------------------------------------------------------------


def test_a_ready_video_plays_downloads_and_shows_its_receipt(signed_in: Client, alice: User) -> None:
    task = takes.ready(alice, "Kelp forest", seed=12345)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert f'src="/videos/{task.pk}/file"' in page
    assert f'poster="/videos/{task.pk}/poster"' in page
    assert 'preload="metadata"' in page
    assert "?download=1" in page
    for words in ("Ordered; 60 credits charged.", "The provider called: the video is made.", "Kept safe here", "12345"):
        assert words in page
    assert str(task.pk)[:8].upper() in page
    assert "hx-trigger" not in page
    with closing(signed_in.get(f"/videos/{task.pk}/poster")) as poster:
        assert poster["Content-Type"] == "image/webp"


def test_the_page_of_an_unfinished_video_is_live_until_it_has_ended(signed_in: Client, alice: User) -> None:
    task = takes.generating(alice)
    live = signed_in.get(f"/videos/{task.pk}/", headers=LIVE)
    assert live.status_code == 200
    assert 'hx-trigger="every 2s"' in live.text
    assert "<html" not in live.text
    takes.finish(task)
    last = signed_in.get(f"/videos/{task.pk}/", headers=LIVE)
    assert last.status_code == 286
    assert "<video" in last.text
    assert "Run again" in last.text
    assert "hx-trigger" not in last.text


def test_a_refused_video_says_who_why_what_next_and_that_the_credits_are_back(signed_in: Client, alice: User) -> None:
    task = takes.refused(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "Refused by the provider" in page
    assert "Describe the person instead of naming them" in page
    assert "60 credits were refunded" in page
    assert "the vendor&#x27;s own words" in page
    assert f"/?from={task.pk}" in page
    assert ledger.balance_of(alice) == 60


def test_an_unconfirmed_video_says_that_we_do_not_know_and_what_happens_when(signed_in: Client, alice: User) -> None:
    task = takes.unconfirmed(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "Not known yet" in page
    assert "the answer was lost" in page
    assert "the credits come back at" in page
    assert "never send it twice" in page
    assert "Failed" not in page


def test_a_waiting_video_says_its_place_and_is_cancelled_for_free(signed_in: Client, alice: User, bob: User) -> None:
    takes.queued(bob)
    takes.queued(alice)
    task = takes.queued(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "2 videos ahead of it, 1 of them yours" in page
    assert "Run again" not in page, "it has not run yet"
    answer = signed_in.post(f"/videos/{task.pk}/cancel/", {"to": "studio"}, follow=True)
    assert "Cancelled; 60 credits are back." in answer.text
    assert VideoTask.objects.get(pk=task.pk).status == "cancelled"
    assert [entry.amount for entry in ledger.statement(alice).filter(reference=task.reference)] == [60, -60]
    assert ledger.balance_of(alice) == 60


def test_cancelling_too_late_changes_nothing_and_says_so(signed_in: Client, alice: User) -> None:
    task = takes.generating(alice)
    answer = signed_in.post(f"/videos/{task.pk}/cancel/", follow=True)
    assert "Too late to cancel" in answer.text
    assert VideoTask.objects.get(pk=task.pk).status == "generating"
    assert ledger.balance_of(alice) == 0


def test_a_late_arrival_is_given_free_and_said(signed_in: Client, alice: User) -> None:
    task = takes.late(alice)
    page = signed_in.get(f"/videos/{task.pk}/").text
    assert "It arrived after all" in page
    assert "<video" in page
    assert ledger.balance_of(alice) == 60


def test_deleting_asks_first_then_the_video_is_gone_and_the_statement_stays(signed_in: Client, alice: User) -> None:
    task = takes.ready(alice)
    assert "Delete this video?" in signed_in.get(f"/videos/{task.pk}/delete/").text
    answer = signed_in.post(f"/videos/{task.pk}/delete/", follow=True)
    assert answer.redirect_chain == [("/videos/", 302)]
    assert signed_in.get(f"/videos/{task.pk}/").status_code == 404
    assert str(task.pk) not in signed_in.get("/videos/").text
    statement = signed_in.get("/credits/").text
    assert "Deleted video" in statement
    assert ledger.balance_of(alice) == 0
    assert ledger.statement(alice).filter(reference=task.reference).count() == 1


def test_what_is_still_on_its_way_is_not_deleted(signed_in: Client, alice: User) -> None:
    task = takes.generating(alice)
    answer = signed_in.post(f"/videos/{task.pk}/delete/", follow=True)
    assert "still on its way" in answer.text
    assert VideoTask.objects.get(pk=task.pk).deleted_at is None


def test_prompts_are_text_never_markup(signed_in: Client, alice: User) -> None:
    task = takes.queued(alice, "<script>alert(1)</script>\"'><img src=x>")
    for path in ("/", f"/?from={task.pk}", "/videos/", f"/videos/{task.pk}/", "/credits/"):
        page = signed_in.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x>" not in page


# --- Credits ----------------------------------------------------------------------------------------------------------


def test_the_statement_names_the_video_and_the_running_balance(signed_in: Client, alice: User) -> None:
    give_credits(alice, 500)
    task = takes.refused(alice, "Portrait of an athlete")
    page = signed_in.get("/credits/").text
    assert f'href="/videos/{task.pk}/"' in page
    assert "Portrait of an athlete" in page
    for words in ("+500", "−60", "+60", "560"):
        assert words in page
    refunds = signed_in.get("/credits/", {"kind": "refunds"})
    assert [entry.amount for entry in refunds.context["entries"]] == [60]


def test_the_statement_is_read_page_by_page(signed_in: Client, alice: User) -> None:
    for number in range(60):
        ledger.grant(user=alice, user_credits=1, idempotency_key=f"n{number}", note="one more")
    first = signed_in.get("/credits/")
    second = signed_in.get(f"/credits/?{first.context['older_query']}")
    assert (len(first.context["entries"]), len(second.context["entries"])) == (50, 10)
    assert not second.context["older_query"]
    assert signed_in.get("/credits/", {"before": "9" * 40}).status_code == 200


def test_alice_never_reads_bobs_statement(signed_in: Client, bob: User) -> None:
    give_credits(bob, 777)
    page = signed_in.get("/credits/").text
    assert "777" not in page
    assert "No entries yet" in page


# --- Words ------------------------------------------------------------------------------------------------------------


def test_every_state_reason_and_event_has_words() -> None:
    assert set(STATES) == set(VideoTask.Status.values)
    assert set(RefusalReason) <= set(timeline.FAILURES)
    assert set(TaskEvent.Kind.values) - set(timeline.DESCRIPTIONS) == {TaskEvent.Kind.NOTE}
