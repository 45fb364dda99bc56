"""The studio: nothing typed is lost, nothing is charged twice, the price is the server's."""

from contextlib import closing
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from billing.models import LedgerEntry, Price
from tests.people import give_credits
from tests.videos import takes
from videos.models import SourceImage, VideoTask
from videos.storage import source_images
from videos.views.landing import DRAFT_KEY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

LIVE = {"HX-Request": "true"}


def form(**changes: Any) -> dict[str, Any]:
    """The studio's form as a browser sends it."""
    return {
        "key": "key-of-this-form",
        "mode": "text",
        "prompt": "Paper boats drift down a rain-lit street",
        "model": "veo3_fast",
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "duration_s": "8",
        "seed": "",
        "watermark": "",
        "enable_translation": "on",
        "seen_price": "60",
        **changes,
    }


def picture(name: str = "frame.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, takes.png(), content_type="image/png")


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    give_credits(alice, 100)
    client.force_login(alice)
    return client


def test_a_stranger_sees_the_landing_page_and_alice_the_studio(client: Client, alice: User) -> None:
    assert "What you can count on" in client.get("/").text
    client.force_login(alice)
    page = client.get("/").text
    assert "Make video" in page
    assert "What you can count on" not in page


def test_an_order_is_charged_once_and_shown_on_its_way(signed_in: Client, alice: User) -> None:
    answer = signed_in.post("/", form())
    task = VideoTask.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/?from={task.pk}#on-the-way"
    assert (task.prompt, task.aspect_ratio, task.user_credits) == (
        "Paper boats drift down a rain-lit street",
        "9:16",
        60,
    )
    page = signed_in.get(answer["Location"]).text
    assert f'id="job-{task.pk}"' in page
    assert "Paper boats drift down a rain-lit street</textarea>" in page
    assert ledger.balance_of(alice) == 40
    assert [entry.amount for entry in ledger.statement(alice)] == [-60, 100]


def test_a_double_click_makes_one_video_and_one_charge(signed_in: Client, alice: User) -> None:
    first, second = signed_in.post("/", form()), signed_in.post("/", form())
    assert first["Location"] == second["Location"]
    assert VideoTask.objects.count() == 1
    assert ledger.balance_of(alice) == 40
    assert LedgerEntry.objects.filter(kind="charge").count() == 1


def test_a_used_form_with_another_prompt_asks_first_and_keeps_the_text(signed_in: Client, alice: User) -> None:
    signed_in.post("/", form())
    answer = signed_in.post("/", form(prompt="Something else"))
    assert answer.status_code == 409
    assert "This form already made a video" in answer.text
    assert "Something else</textarea>" in answer.text
    new_key = answer.context["form"].value_of("key")
    assert new_key != "key-of-this-form"
    assert ledger.balance_of(alice) == 40
    give_credits(alice, 60)
    signed_in.post("/", form(prompt="Something else", key=new_key))
    assert VideoTask.objects.count() == 2
    assert ledger.balance_of(alice) == 40


def test_each_fresh_form_has_its_own_key(signed_in: Client) -> None:
    keys = {signed_in.get("/").context["form"].value_of("key") for _ in range(3)}
    assert len(keys) == 3


def test_everything_typed_survives_an_error(signed_in: Client, alice: User) -> None:
    sent = form(
        model="veo3_lite", resolution="1080p", duration_s="6", seed="7", watermark="night studio", seen_price="35"
    )
    del sent["enable_translation"]
    answer = signed_in.post("/", sent)
    assert answer.status_code == 422
    page = answer.text
    for kept in (
        "Paper boats drift down a rain-lit street</textarea>",
        'value="veo3_lite" checked',
        'value="9:16" checked',
        'value="1080p" checked',
        'value="6" checked',
        'value="7"',
        'value="night studio"',
        'value="key-of-this-form"',
    ):
        assert kept in page, kept
    assert answer.context["form"].value_of("enable_translation") is False
    assert answer.context["form"].errors["seed"] == ["A seed is a number from 10000 to 99999."]
    assert VideoTask.objects.count() == 0
    assert ledger.balance_of(alice) == 100


def test_an_empty_prompt_says_what_a_prompt_needs(signed_in: Client) -> None:
    answer = signed_in.post("/", form(prompt="   "))
    assert "Say what should be seen" in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_a_prompt_that_is_too_long_is_said_and_kept_whole(signed_in: Client, client: Client) -> None:
    long = "wave " * 500 + "end"
    answer = signed_in.post("/", form(prompt=long))
    assert "The prompt is too long: at most 2,000 characters." in answer.text
    assert f"{long}</textarea>" in answer.text
    assert 'maxlength="2000"' not in answer.text, "a browser would cut what is pasted"
    client.logout()
    client.post("/", {"prompt": long})
    assert client.session[DRAFT_KEY]["prompt"] == long


def test_too_few_credits_are_said_with_a_way_out_and_nothing_is_charged(signed_in: Client, alice: User) -> None:
    answer = signed_in.post("/", form(model="veo3", seen_price="250"))
    assert answer.status_code == 422
    assert "This video costs 250 credits and you have 100." in answer.text
    assert "/credits/#more" in answer.text
    assert "Paper boats" in answer.text
    assert VideoTask.objects.count() == 0
    assert [entry.amount for entry in ledger.statement(alice)] == [100]
    assert ledger.balance_of(alice) == 100


def test_a_price_that_rose_while_the_page_was_open_is_asked_about(signed_in: Client, alice: User) -> None:
    Price.objects.create(model="veo3_fast", resolution="720p", kind="generate", provider_credits=70, user_credits=70)
    answer = signed_in.post("/", form(seen_price="60"))
    assert answer.status_code == 409
    assert "The price is 70 credits" in answer.text
    assert ledger.balance_of(alice) == 100
    assert 'name="seen_price" value="70"' in answer.text
    signed_in.post("/", form(seen_price="70"))
    assert ledger.balance_of(alice) == 30
    assert [entry.amount for entry in ledger.statement(alice)] == [-70, 100]


def test_the_active_limit_is_explained(signed_in: Client, alice: User, settings: Any) -> None:
    settings.MAX_ACTIVE_PER_USER = 1
    takes.queued(alice)
    answer = signed_in.post("/", form())
    assert "Enough on the way" in answer.text
    assert "#on-the-way" in answer.text
    assert VideoTask.objects.count() == 1


def test_images_sent_with_the_form_itself_are_kept_though_the_prompt_is_missing(signed_in: Client) -> None:
    answer = signed_in.post("/", form(mode="first", prompt="", file_first=picture()))
    image = SourceImage.objects.get()
    assert answer.status_code == 422
    assert f'name="image_first" value="{image.pk}"' in answer.text
    done = signed_in.post("/", form(mode="first", image_first=str(image.pk)))
    assert done.status_code == 302
    task = VideoTask.objects.get()
    assert task.generation_type == "FIRST_AND_LAST_FRAMES_2_VIDEO"
    assert [place.image_id for place in task.task_images.all()] == [image.pk]
    assert "<dd>First frame</dd>" in signed_in.get(f"/videos/{task.pk}/").text


def test_first_and_last_frames_keep_their_order(signed_in: Client, alice: User) -> None:
    first = source_images.keep(user=alice, upload=picture())
    last = source_images.keep(user=alice, upload=SimpleUploadedFile("b.png", takes.png("#990000")))
    signed_in.post("/", form(mode="both", image_first=str(first.pk), image_last=str(last.pk)))
    task = VideoTask.objects.get()
    assert [place.image_id for place in task.task_images.all()] == [first.pk, last.pk]
    assert "<dd>First and last frame</dd>" in signed_in.get(f"/videos/{task.pk}/").text
    again = signed_in.get(f"/?from={task.pk}").context
    assert again["form"].value_of("image_last") == str(last.pk)
    assert again["offer"].settings.mode == "both"


def test_a_missing_image_is_named(signed_in: Client) -> None:
    answer = signed_in.post("/", form(mode="both"))
    assert answer.status_code == 422
    assert answer.text.count("Bring a first and a last frame") == 1, "said where the image is missing, and only there"
    assert VideoTask.objects.count() == 0


def test_what_is_not_an_image_is_refused_in_words(signed_in: Client) -> None:
    answer = signed_in.post("/", form(mode="first", file_first=SimpleUploadedFile("x.png", b"hello")))
    assert answer.status_code == 422
    slot = next(slot for slot in answer.context["slots"] if slot.name == "first")
    assert str(slot.error)
    assert 'id="slot-error-first"' in answer.text
    assert SourceImage.objects.count() == 0


def test_an_image_can_be_taken_out_without_javascript(signed_in: Client, alice: User) -> None:
    image = source_images.keep(user=alice, upload=picture())
    sent = form(mode="first", image_first=str(image.pk), remove="first")
    del sent["enable_translation"]
    answer = signed_in.post("/", sent)
    assert answer.status_code == 200
    assert 'name="image_first"' not in answer.text
    assert "Paper boats drift down a rain-lit street</textarea>" in answer.text
    assert answer.context["form"].value_of("enable_translation") is False
    assert VideoTask.objects.count() == 0


def test_somebody_elses_image_is_no_image(signed_in: Client, bob: User) -> None:
    image = source_images.keep(user=bob, upload=picture())
    answer = signed_in.post("/", form(mode="first", image_first=str(image.pk)))
    assert answer.status_code == 422
    assert str(image.pk) not in answer.text
    assert VideoTask.objects.count() == 0


def test_without_javascript_an_impossible_model_is_refused_in_words(signed_in: Client, alice: User) -> None:
    image = source_images.keep(user=alice, upload=picture())
    give_credits(alice, 400)
    answer = signed_in.post("/", form(mode="reference", model="veo3", image_reference1=str(image.pk), seen_price="250"))
    assert answer.status_code == 422
    assert "This model cannot work from reference images. Choose Fast or Lite." in answer.text
    assert ledger.balance_of(alice) == 500


def test_the_live_price_is_the_first_paints_price(signed_in: Client) -> None:
    page = signed_in.get("/").text
    assert '<span class="pay-price"><b>60</b> credits</span>' in page
    live = signed_in.get("/quote/", {"mode": "text", "model": "veo3_lite", "resolution": "1080p"}, headers=LIVE).text
    assert '<span class="pay-price"><b>35</b> credits</span>' in live
    assert "leaves 65" in live
    assert 'hx-swap-oob="true"' in live


def test_the_quote_shows_only_what_can_be_made_and_says_what_it_moved(signed_in: Client) -> None:
    asked = {"mode": "reference", "model": "veo3", "duration_s": "4"}
    answer = signed_in.get("/quote/", asked, headers=LIVE)
    offer = answer.context["offer"]
    assert [option.model.name for option in offer.models] == ["veo3_fast", "veo3_lite"]
    assert [option.value for option in offer.lengths] == ["8"]
    assert "Reference images work with Fast and Lite" in answer.text
    assert "always 8 seconds" in answer.text


def test_a_quote_beyond_the_purse_says_how_much_is_missing(signed_in: Client) -> None:
    assert "150 credits short" in signed_in.get("/quote/", {"model": "veo3"}, headers=LIVE).text


@pytest.mark.parametrize("odd", ["", "x" * 5000, "veo9", "<script>", "\x00"])
def test_odd_values_in_a_quote_fall_back_to_what_works(signed_in: Client, odd: str) -> None:
    asked = dict.fromkeys(("mode", "model", "aspect_ratio", "resolution", "duration_s"), odd)
    answer = signed_in.get("/quote/", asked)
    assert answer.status_code == 200
    assert answer.context["offer"].quote.user_credits == 60


def test_an_image_is_kept_as_soon_as_it_is_chosen(signed_in: Client, alice: User) -> None:
    answer = signed_in.post("/images/?slot=first", {"file_first": picture()}, headers=LIVE)
    image = SourceImage.objects.get(user=alice)
    assert answer.status_code == 200
    assert f'name="image_first" value="{image.pk}"' in answer.text
    assert f"/images/{image.pk}" in answer.text
    with closing(signed_in.get(f"/images/{image.pk}")) as shown:
        assert shown.status_code == 200


def test_a_bad_upload_says_why_and_leaves_the_place_empty(signed_in: Client) -> None:
    answer = signed_in.post("/images/?slot=last", {"file_last": SimpleUploadedFile("a.png", b"GIF89a?")}, headers=LIVE)
    assert answer.status_code == 422
    assert 'class="errorlist"' in answer.text
    assert 'name="file_last"' in answer.text
    assert signed_in.post("/images/?slot=last", {}, headers=LIVE).status_code == 422
    assert signed_in.get("/images/?slot=elsewhere").status_code == 404


def test_the_list_stays_live_while_something_is_on_its_way_and_then_says_stop(signed_in: Client, alice: User) -> None:
    task = takes.generating(alice)
    live = signed_in.get("/", headers=LIVE)
    assert live.status_code == 200
    assert 'hx-trigger="every 2s"' in live.text
    assert '<b id="balance" hx-swap-oob="true">100</b>' in live.text
    takes.finish(task)
    last = signed_in.get("/", headers=LIVE)
    assert last.status_code == 286
    assert "hx-trigger" not in last.text
    assert f'id="take-{task.pk}"' in last.text


def test_the_latest_takes_are_sent_again_only_when_they_changed(signed_in: Client, alice: User) -> None:
    takes.ready(alice)
    takes.generating(alice)
    shown = signed_in.get("/").context["live"].shown
    assert 'id="latest"' not in signed_in.get("/", {"shown": shown}, headers=LIVE).text
    assert 'id="latest"' in signed_in.get("/", {"shown": "stale"}, headers=LIVE).text


def test_the_first_visit_teaches_and_an_example_fills_the_form(signed_in: Client) -> None:
    page = signed_in.get("/").text
    assert "Start from an example" in page
    assert "What a video costs" in page
    filled = signed_in.get("/?example=street")
    assert "A paper boat drifts down" in filled.text
    assert filled.context["offer"].settings.aspect_ratio == "9:16"
    assert VideoTask.objects.count() == 0


def test_run_again_brings_everything_back(signed_in: Client, alice: User) -> None:
    task = takes.ready(
        alice,
        "Kelp forest",
        model="veo3_lite",
        resolution="1080p",
        duration_s=6,
        seed=12345,
        watermark="w",
        enable_translation=False,
    )
    answer = signed_in.get(f"/?from={task.pk}")
    values = {
        name: answer.context["form"].value_of(name) for name in ("prompt", "seed", "watermark", "enable_translation")
    }
    assert values == {"prompt": "Kelp forest", "seed": 12345, "watermark": "w", "enable_translation": False}
    chosen = answer.context["offer"].settings
    assert (chosen.model, chosen.resolution, chosen.duration_s) == ("veo3_lite", "1080p", 6)


@pytest.mark.parametrize("address", ["/?from=nonsense", "/?from=00000000-0000-4000-8000-000000000000"])
def test_running_again_what_is_not_there_is_a_404(signed_in: Client, address: str) -> None:
    assert signed_in.get(address).status_code == 404


def test_what_a_stranger_typed_waits_for_them(client: Client, alice: User) -> None:
    answer = client.post("/", {"prompt": "A fox in the snow"})
    assert answer["Location"] == "/accounts/signup/"
    client.force_login(alice)
    assert "A fox in the snow</textarea>" in client.get("/").text
    give_credits(alice, 60)
    client.post("/", form(prompt="A fox in the snow"))
    assert not client.get("/").context["form"].value_of("prompt")
    assert ledger.balance_of(alice) == 0


def test_a_form_sent_after_the_session_ended_is_kept_through_the_sign_in(client: Client, alice: User) -> None:
    answer = client.post("/", form(model="veo3_lite"))
    assert answer["Location"] == "/accounts/login/"
    assert VideoTask.objects.count() == 0
    client.force_login(alice)
    page = client.get("/")
    assert page.context["offer"].settings.model == "veo3_lite"
    assert "Paper boats" in page.text


def test_a_live_fragment_whose_session_ended_moves_the_whole_page(client: Client) -> None:
    answer = client.get("/quote/", headers={**LIVE, "HX-Current-URL": "http://testserver/?example=dunes"})
    assert answer["HX-Redirect"] == "/accounts/login/?next=%2F%3Fexample%3Ddunes"
    assert client.get("/videos/")["Location"] == "/accounts/login/?next=/videos/"
