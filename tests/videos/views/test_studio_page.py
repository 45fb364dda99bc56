"""The studio's page and fragments: live prices, videos in progress, examples, and values kept from earlier."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from billing.credits import ledger
from tests.people import give_credits
from tests.videos import video_states
from tests.videos.views.every_state import make_every_state
from tests.videos.views.requests import HTMX_HEADERS, studio_form
from videos.models import VideoTask

# Measured with videos in every state. Each queued video still reads its own position and wait reason; this is to be lowered.
MAX_QUERIES = 111

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def test_a_visitor_sees_the_landing_page_and_a_user_the_studio(client: Client, alice: User) -> None:
    assert "What you can count on" in client.get("/").text
    client.force_login(alice)
    page = client.get("/").text
    assert "Make video" in page
    assert "What you can count on" not in page


def test_the_live_price_equals_the_page_price(studio_client: Client) -> None:
    page = studio_client.get("/").text
    assert '<span class="pay-price"><b>60</b> credits</span>' in page
    live = studio_client.get(
        "/quote/", {"mode": "text", "model": "veo3_lite", "resolution": "1080p"}, headers=HTMX_HEADERS
    ).text
    assert '<span class="pay-price"><b>35</b> credits</span>' in live
    assert "leaves 65" in live
    assert 'hx-swap-oob="true"' in live


def test_the_quote_shows_only_valid_options_and_names_its_adjustments(studio_client: Client) -> None:
    settings = {"mode": "reference", "model": "veo3", "duration_s": "4"}
    response = studio_client.get("/quote/", settings, headers=HTMX_HEADERS)
    options = response.context["options"]
    assert [option.model.name for option in options.models] == ["veo3_fast", "veo3_lite"]
    assert [option.value for option in options.durations] == ["8"]
    assert "Reference images work with Fast and Lite" in response.text
    assert "always 8 seconds" in response.text


def test_a_quote_above_the_balance_shows_the_missing_credits(studio_client: Client) -> None:
    assert "150 credits short" in studio_client.get("/quote/", {"model": "veo3"}, headers=HTMX_HEADERS).text


@pytest.mark.parametrize("value", ["", "x" * 5000, "veo9", "<script>", "\x00"])
def test_invalid_values_in_a_quote_fall_back_to_valid_ones(studio_client: Client, value: str) -> None:
    settings = dict.fromkeys(("mode", "model", "aspect_ratio", "resolution", "duration_s"), value)
    response = studio_client.get("/quote/", settings)
    assert response.status_code == 200
    assert response.context["options"].quote.user_credits == 60


def test_the_list_polls_while_a_video_is_unfinished_and_then_stops(studio_client: Client, alice: User) -> None:
    task = video_states.make_generating(alice)
    live = studio_client.get("/", headers=HTMX_HEADERS)
    assert live.status_code == 200
    assert 'hx-trigger="every 2s"' in live.text
    assert '<b id="balance" hx-swap-oob="true">100</b>' in live.text
    video_states.finish(task)
    last = studio_client.get("/", headers=HTMX_HEADERS)
    assert last.status_code == 286
    assert "hx-trigger" not in last.text
    assert f'id="video-{task.pk}"' in last.text


@pytest.mark.parametrize("headers", [None, HTMX_HEADERS])
def test_the_studio_needs_a_limited_number_of_queries(
    studio_client: Client, alice: User, settings: Any, headers: dict[str, str] | None
) -> None:
    settings.MAX_ACTIVE_PER_USER = 100
    make_every_state(alice)
    studio_client.get("/", headers=headers)
    with CaptureQueriesContext(connection) as queries:
        studio_client.get("/", headers=headers)
    assert len(queries) <= MAX_QUERIES, "\n".join(query["sql"] for query in queries)


def test_the_latest_videos_are_sent_again_only_after_a_change(studio_client: Client, alice: User) -> None:
    video_states.make_ready(alice)
    video_states.make_generating(alice)
    shown = studio_client.get("/").context["live"].shown
    assert 'id="latest"' not in studio_client.get("/", {"shown": shown}, headers=HTMX_HEADERS).text
    assert 'id="latest"' in studio_client.get("/", {"shown": "stale"}, headers=HTMX_HEADERS).text


def test_the_first_visit_shows_examples_that_fill_the_form(studio_client: Client) -> None:
    page = studio_client.get("/").text
    assert "Start from an example" in page
    assert "What a video costs" in page
    filled = studio_client.get("/?example=street")
    assert "A paper boat drifts down" in filled.text
    assert filled.context["options"].settings.aspect_ratio == "9:16"
    assert VideoTask.objects.count() == 0


def test_run_again_fills_in_all_settings(studio_client: Client, alice: User) -> None:
    task = video_states.make_ready(
        alice,
        "Kelp forest",
        model="veo3_lite",
        resolution="1080p",
        duration_s=6,
        seed=12345,
        watermark="w",
        enable_translation=False,
    )
    response = studio_client.get(f"/?from={task.pk}")
    values = {
        name: response.context["form"].value_of(name) for name in ("prompt", "seed", "watermark", "enable_translation")
    }
    assert values == {"prompt": "Kelp forest", "seed": 12345, "watermark": "w", "enable_translation": False}
    settings = response.context["options"].settings
    assert (settings.model, settings.resolution, settings.duration_s) == ("veo3_lite", "1080p", 6)


@pytest.mark.parametrize("address", ["/?from=nonsense", "/?from=00000000-0000-4000-8000-000000000000"])
def test_running_a_missing_video_again_is_a_404(studio_client: Client, address: str) -> None:
    assert studio_client.get(address).status_code == 404


def test_a_visitors_prompt_is_kept_until_they_sign_in(client: Client, alice: User) -> None:
    response = client.post("/", {"prompt": "A fox in the snow"})
    assert response["Location"] == "/accounts/signup/"
    client.force_login(alice)
    assert "A fox in the snow</textarea>" in client.get("/").text
    give_credits(alice, 60)
    client.post("/", studio_form(prompt="A fox in the snow"))
    assert not client.get("/").context["form"].value_of("prompt")
    assert ledger.balance_of(alice) == 0


def test_a_form_sent_after_the_session_ended_is_kept_during_sign_in(client: Client, alice: User) -> None:
    response = client.post("/", studio_form(model="veo3_lite"))
    assert response["Location"] == "/accounts/login/"
    assert VideoTask.objects.count() == 0
    client.force_login(alice)
    page = client.get("/")
    assert page.context["options"].settings.model == "veo3_lite"
    assert "Paper boats" in page.text


def test_a_live_request_without_a_session_redirects_the_whole_page(client: Client) -> None:
    response = client.get("/quote/", headers={**HTMX_HEADERS, "HX-Current-URL": "http://testserver/?example=dunes"})
    assert response["HX-Redirect"] == "/accounts/login/?next=%2F%3Fexample%3Ddunes"
    assert client.get("/videos/")["Location"] == "/accounts/login/?next=/videos/"
