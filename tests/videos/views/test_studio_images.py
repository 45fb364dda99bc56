"""Images in the studio: uploaded when chosen or sent with the form, kept, refused and removed."""

from contextlib import closing

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from tests.people import give_credits
from tests.videos import video_states
from tests.videos.views.requests import HTMX_HEADERS, studio_form
from videos.models import SourceImage, VideoTask
from videos.storage import source_images

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]


def image_upload(name: str = "frame.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, video_states.make_png(), content_type="image/png")


def test_images_sent_with_an_invalid_form_are_kept(studio_client: Client) -> None:
    response = studio_client.post("/", studio_form(mode="first", prompt="", file_first=image_upload()))
    image = SourceImage.objects.get()
    assert response.status_code == 422
    assert f'name="image_first" value="{image.pk}"' in response.text
    resubmitted = studio_client.post("/", studio_form(mode="first", image_first=str(image.pk)))
    assert resubmitted.status_code == 302
    task = VideoTask.objects.get()
    assert task.generation_type == "FIRST_AND_LAST_FRAMES_2_VIDEO"
    assert [task_image.image_id for task_image in task.task_images.all()] == [image.pk]
    assert "<dd>First frame</dd>" in studio_client.get(f"/videos/{task.pk}/").text


def test_first_and_last_frames_keep_their_order(studio_client: Client, alice: User) -> None:
    first = source_images.store(user=alice, upload=image_upload())
    last = source_images.store(user=alice, upload=SimpleUploadedFile("b.png", video_states.make_png("#990000")))
    studio_client.post("/", studio_form(mode="both", image_first=str(first.pk), image_last=str(last.pk)))
    task = VideoTask.objects.get()
    assert [task_image.image_id for task_image in task.task_images.all()] == [first.pk, last.pk]
    assert "<dd>First and last frame</dd>" in studio_client.get(f"/videos/{task.pk}/").text
    context = studio_client.get(f"/?from={task.pk}").context
    assert context["form"].value_of("image_last") == str(last.pk)
    assert context["options"].settings.mode == "both"


def test_a_missing_image_is_named(studio_client: Client) -> None:
    response = studio_client.post("/", studio_form(mode="both"))
    assert response.status_code == 422
    assert response.text.count("Add a first and a last frame") == 1, "shown at the missing image, and only there"
    assert VideoTask.objects.count() == 0


def test_a_file_that_is_no_image_is_refused_with_a_message(studio_client: Client) -> None:
    response = studio_client.post("/", studio_form(mode="first", file_first=SimpleUploadedFile("x.png", b"hello")))
    assert response.status_code == 422
    slot = next(slot for slot in response.context["slots"] if slot.name == "first")
    assert str(slot.error)
    assert 'id="slot-error-first"' in response.text
    assert SourceImage.objects.count() == 0


def test_an_image_can_be_removed_without_javascript(studio_client: Client, alice: User) -> None:
    image = source_images.store(user=alice, upload=image_upload())
    form = studio_form(mode="first", image_first=str(image.pk), remove="first")
    del form["enable_translation"]
    response = studio_client.post("/", form)
    assert response.status_code == 200
    assert 'name="image_first"' not in response.text
    assert "Paper boats drift down a rain-lit street</textarea>" in response.text
    assert response.context["form"].value_of("enable_translation") is False
    assert VideoTask.objects.count() == 0


def test_another_users_image_is_not_accepted(studio_client: Client, bob: User) -> None:
    image = source_images.store(user=bob, upload=image_upload())
    response = studio_client.post("/", studio_form(mode="first", image_first=str(image.pk)))
    assert response.status_code == 422
    assert str(image.pk) not in response.text
    assert VideoTask.objects.count() == 0


def test_without_javascript_an_unsuitable_model_is_refused_with_a_message(studio_client: Client, alice: User) -> None:
    image = source_images.store(user=alice, upload=image_upload())
    give_credits(alice, 400)
    response = studio_client.post(
        "/", studio_form(mode="reference", model="veo3", image_reference1=str(image.pk), seen_price="250")
    )
    assert response.status_code == 422
    assert "This model cannot work from reference images. Choose Fast or Lite." in response.text
    assert ledger.balance_of(alice) == 500


def test_an_image_is_stored_as_soon_as_it_is_chosen(studio_client: Client, alice: User) -> None:
    response = studio_client.post("/images/?slot=first", {"file_first": image_upload()}, headers=HTMX_HEADERS)
    image = SourceImage.objects.get(user=alice)
    assert response.status_code == 200
    assert f'name="image_first" value="{image.pk}"' in response.text
    assert f"/images/{image.pk}" in response.text
    with closing(studio_client.get(f"/images/{image.pk}")) as image_response:
        assert image_response.status_code == 200


def test_a_refused_upload_shows_the_reason_and_an_empty_slot(studio_client: Client) -> None:
    response = studio_client.post(
        "/images/?slot=last", {"file_last": SimpleUploadedFile("a.png", b"GIF89a?")}, headers=HTMX_HEADERS
    )
    assert response.status_code == 422
    assert 'class="errorlist"' in response.text
    assert 'name="file_last"' in response.text
    assert studio_client.post("/images/?slot=last", {}, headers=HTMX_HEADERS).status_code == 422
    assert studio_client.get("/images/?slot=elsewhere").status_code == 404
