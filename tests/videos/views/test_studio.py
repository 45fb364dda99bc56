"""The studio's orders: nothing typed is lost, nothing is charged twice, the server decides the price."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from billing.models import LedgerEntry, Price
from tests.people import give_credits
from tests.videos import video_states
from tests.videos.views.requests import studio_form
from videos.models import VideoTask
from videos.views.landing import DRAFT_KEY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def test_an_order_is_charged_once_and_shown_in_progress(studio_client: Client, alice: User) -> None:
    response = studio_client.post("/", studio_form())
    task = VideoTask.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/?from={task.pk}#on-the-way"
    assert (task.prompt, task.aspect_ratio, task.user_credits) == (
        "Paper boats drift down a rain-lit street",
        "9:16",
        60,
    )
    page = studio_client.get(response["Location"]).text
    assert f'id="job-{task.pk}"' in page
    assert "Paper boats drift down a rain-lit street</textarea>" in page
    assert ledger.balance_of(alice) == 40
    assert [entry.amount for entry in ledger.statement(alice)] == [-60, 100]


def test_a_double_click_makes_one_video_and_one_charge(studio_client: Client, alice: User) -> None:
    first, second = studio_client.post("/", studio_form()), studio_client.post("/", studio_form())
    assert first["Location"] == second["Location"]
    assert VideoTask.objects.count() == 1
    assert ledger.balance_of(alice) == 40
    assert LedgerEntry.objects.filter(kind="charge").count() == 1


def test_a_resubmitted_form_with_another_prompt_asks_first_and_keeps_the_text(
    studio_client: Client, alice: User
) -> None:
    studio_client.post("/", studio_form())
    response = studio_client.post("/", studio_form(prompt="Something else"))
    assert response.status_code == 409
    assert "This form was already submitted" in response.text
    assert "Something else</textarea>" in response.text
    new_key = response.context["form"].value_of("key")
    assert new_key != "key-of-this-form"
    assert ledger.balance_of(alice) == 40
    give_credits(alice, 60)
    studio_client.post("/", studio_form(prompt="Something else", key=new_key))
    assert VideoTask.objects.count() == 2
    assert ledger.balance_of(alice) == 40


def test_each_fresh_form_has_its_own_key(studio_client: Client) -> None:
    keys = {studio_client.get("/").context["form"].value_of("key") for _ in range(3)}
    assert len(keys) == 3


def test_typed_values_are_kept_after_an_error(studio_client: Client, alice: User) -> None:
    form = studio_form(
        model="veo3_lite", resolution="1080p", duration_s="6", seed="7", watermark="night studio", seen_price="35"
    )
    del form["enable_translation"]
    response = studio_client.post("/", form)
    assert response.status_code == 422
    page = response.text
    for expected in (
        "Paper boats drift down a rain-lit street</textarea>",
        'value="veo3_lite" checked',
        'value="9:16" checked',
        'value="1080p" checked',
        'value="6" checked',
        'value="7"',
        'value="night studio"',
        'value="key-of-this-form"',
    ):
        assert expected in page, expected
    assert response.context["form"].value_of("enable_translation") is False
    assert response.context["form"].errors["seed"] == ["A seed is a number from 10000 to 99999."]
    assert VideoTask.objects.count() == 0
    assert ledger.balance_of(alice) == 100


def test_an_empty_prompt_is_refused_with_advice(studio_client: Client) -> None:
    response = studio_client.post("/", studio_form(prompt="   "))
    assert "Describe what should be seen" in response.text
    assert 'aria-invalid="true"' in response.text


def test_a_prompt_that_is_too_long_is_refused_and_kept_complete(studio_client: Client, client: Client) -> None:
    long_prompt = "wave " * 500 + "end"
    response = studio_client.post("/", studio_form(prompt=long_prompt))
    assert "The prompt is too long: at most 2,000 characters." in response.text
    assert f"{long_prompt}</textarea>" in response.text
    assert 'maxlength="2000"' not in response.text, "a browser would cut what is pasted"
    client.logout()
    client.post("/", {"prompt": long_prompt})
    assert client.session[DRAFT_KEY]["prompt"] == long_prompt


def test_too_few_credits_refuse_the_order_and_link_to_more(studio_client: Client, alice: User) -> None:
    response = studio_client.post("/", studio_form(model="veo3", seen_price="250"))
    assert response.status_code == 422
    assert "This video costs 250 credits and you have 100." in response.text
    assert "/credits/#more" in response.text
    assert "Paper boats" in response.text
    assert VideoTask.objects.count() == 0
    assert [entry.amount for entry in ledger.statement(alice)] == [100]
    assert ledger.balance_of(alice) == 100


def test_a_price_that_rose_meanwhile_must_be_accepted_first(studio_client: Client, alice: User) -> None:
    Price.objects.create(model="veo3_fast", resolution="720p", kind="generate", provider_credits=70, user_credits=70)
    response = studio_client.post("/", studio_form(seen_price="60"))
    assert response.status_code == 409
    assert "The price is 70 credits" in response.text
    assert ledger.balance_of(alice) == 100
    assert 'name="seen_price" value="70"' in response.text
    studio_client.post("/", studio_form(seen_price="70"))
    assert ledger.balance_of(alice) == 30
    assert [entry.amount for entry in ledger.statement(alice)] == [-70, 100]


def test_the_active_limit_is_explained(studio_client: Client, alice: User, settings: Any) -> None:
    settings.MAX_ACTIVE_PER_USER = 1
    video_states.make_queued(alice)
    response = studio_client.post("/", studio_form())
    assert "Too many videos in progress" in response.text
    assert "#on-the-way" in response.text
    assert VideoTask.objects.count() == 1
