"""F73: an account is closed or disabled while videos are in progress. They finish, and the ledger stays."""

import io

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from accounts import user_actions
from accounts.models import User
from accounts.signals import account_closing
from billing.credits import ledger
from tests.videos.admin.operator_pages import unconfirmed_video
from tests.videos.world import World
from videos.actions import owner as owner_actions
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, SourceImage, VideoFile, VideoTask
from videos.storage import source_images
from videos.worker import sweep

pytestmark = pytest.mark.django_db(transaction=True)


def store_image(user: User, colour: str) -> SourceImage:
    """Store a source image of one colour for a user."""
    content = io.BytesIO()
    Image.new("RGB", (300, 300), colour).save(content, "PNG")
    return source_images.store(user=user, upload=SimpleUploadedFile("image.png", content.getvalue()))


def order_with_image(world: World, user: User, image: SourceImage) -> VideoTask:
    """Order a video from a first frame."""
    return world.order(user, generation_type=VideoTask.GenerationType.FRAMES, image_ids=[image.pk])


def run_sweep(world: World) -> None:
    world.advance(minutes=31)
    sweep.tidy()


def test_f73_closing_cancels_queued_videos_erases_finished_ones_and_lets_running_ones_finish(
    world: World, alice: User, olga: User
) -> None:
    old, new = store_image(alice, "red"), store_image(alice, "blue")
    ready = order_with_image(world, alice, old)
    world.run()
    running = order_with_image(world, alice, new)
    world.send()
    queued = world.order(alice)
    CallbackReceipt.objects.create(task=ready, body='{"prompt": "what she wrote"}', body_sha256="0" * 64)
    stored = VideoFile.objects.get(task=ready)
    assert default_storage.exists(stored.name)

    user_actions.close_account(user=alice, actor=olga)

    world.assert_refunded(queued)
    assert world.reload(queued).failure_code == "account_closed"
    assert [world.reload(task).prompt for task in (queued, ready)] == ["", ""]
    assert world.reload(ready).deleted_at is not None
    assert not default_storage.exists(stored.name)
    assert not default_storage.exists(stored.poster_name)
    assert CallbackReceipt.objects.get(task=ready, body_sha256="0" * 64).body == ""
    assert [image.pk for image in SourceImage.objects.all()] == [new.pk]
    assert not default_storage.exists(old.name)

    assert world.reload(running).status == "generating"
    assert world.reload(running).prompt
    world.run()
    world.assert_charged(running)
    running_file = VideoFile.objects.get(task=running).name
    assert default_storage.exists(running_file)
    run_sweep(world)
    assert world.reload(running).prompt == ""
    assert world.reload(running).deleted_at is not None
    assert not default_storage.exists(running_file)
    assert not SourceImage.objects.exists()
    world.assert_charged(running)
    assert world.count_submissions() == 2
    assert ledger.balance_of(alice) == 60
    assert owner_actions.erase_closed_accounts() == 0


def test_f73_a_lost_request_of_a_closed_account_is_refunded_at_its_deadline(world: World, alice: User) -> None:
    task = unconfirmed_video(world, alice)
    user_actions.close_account(user=alice, actor=None)
    assert world.reload(task).status == "unconfirmed"
    world.advance(minutes=61)
    world.poll()
    world.assert_refunded(task)
    run_sweep(world)
    assert world.reload(task).prompt == ""
    # The provider is not asked for the late result of a closed account.
    world.advance(hours=2)
    assert world.poll() == 0


def test_f73_videos_of_a_disabled_user_finish_normally(world: World, alice: User, olga: User) -> None:
    running = world.order(alice)
    world.send()
    queued = world.order(alice)
    user_actions.disable(user=alice, actor=olga)
    world.run()
    world.assert_charged(running)
    world.assert_charged(queued)
    assert world.reload(queued).prompt
    assert world.count_submissions() == 2


def test_f73_a_failed_closing_changes_nothing(world: World, alice: User) -> None:
    image = store_image(alice, "red")
    ready = world.order(alice)
    world.run()
    queued = world.order(alice)

    def refuse(**kwargs: object) -> None:
        raise RuntimeError("a receiver failed")

    account_closing.connect(refuse, weak=False)
    try:
        with pytest.raises(RuntimeError):
            user_actions.close_account(user=alice, actor=None)
    finally:
        account_closing.disconnect(refuse)
    file = VideoFile.objects.get(task=ready)
    assert default_storage.exists(file.name)
    assert default_storage.exists(image.name)
    assert world.reload(queued).status == "queued"
    assert world.reload(ready).prompt
    world.assert_balance(alice)


def test_f73_an_order_placed_while_the_account_closes_is_erased_by_the_sweep(world: World, alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    task = world.order(User.objects.get(pk=alice.pk))
    run_sweep(world)
    world.assert_refunded(task)
    assert world.reload(task).prompt == ""


def test_an_owner_deletes_finished_videos_once_and_no_unfinished_ones(world: World, alice: User) -> None:
    task = world.order(alice)
    with pytest.raises(lifecycle.NotPossible) as refusal:
        owner_actions.delete(task_id=task.pk, actor=alice)
    assert refusal.value.status == "queued"
    world.run()
    name = VideoFile.objects.get(task=task).name
    assert owner_actions.delete(task_id=task.pk, actor=alice)
    assert not owner_actions.delete(task_id=task.pk, actor=alice)
    assert not default_storage.exists(name)
    assert world.event_kinds(task).count("deleted") == 1
    world.assert_charged(task)


def test_an_owner_cancels_only_queued_videos(world: World, alice: User) -> None:
    task = world.order(alice)
    owner_actions.cancel(task_id=task.pk, actor=alice)
    world.assert_refunded(task)
    with pytest.raises(lifecycle.NotPossible) as refusal:
        owner_actions.cancel(task_id=task.pk, actor=alice)
    assert refusal.value.status == "cancelled"
    sent = world.order(alice)
    world.send()
    with pytest.raises(lifecycle.NotPossible) as refusal:
        owner_actions.cancel(task_id=sent.pk, actor=alice)
    assert refusal.value.status == "generating"
    world.run()
    world.assert_charged(sent)


def test_a_late_result_of_a_deleted_video_is_not_polled_for(world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    lifecycle.give_up(task_id=task.pk, from_="generating", code="operator", actor=olga)
    owner_actions.delete(task_id=task.pk, actor=alice)
    world.sandbox.finish()
    world.advance(hours=2)
    assert world.poll() == 0
    assert not VideoFile.objects.exists()
    world.assert_refunded(task)
