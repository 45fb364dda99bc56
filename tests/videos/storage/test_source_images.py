"""Source images: which uploads are accepted, how they are stored, uploaded to the provider, and deleted."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from accounts.models import User
from accounts.seams import clock
from tests.people import give_credits
from tests.sandbox import SandboxProcess
from tests.videos.media_files import make_image, make_video
from tests.videos.world import World
from videos.models import SourceImage, VideoTask
from videos.models.tasks import TaskImage
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.providers import errors
from videos.providers.kie.client import Kie
from videos.storage import media_store, source_images
from videos.storage.image_reencoding import ImageRefused

Upload = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("own_media")


def content_of(image: SourceImage) -> bytes:
    return media_store.read_bytes(image.name)


def open_image(image: SourceImage) -> Image.Image:
    return Image.open(io.BytesIO(content_of(image)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_reencoded_and_stored_under_a_random_name(alice: User, image_upload: Upload, kind: str) -> None:
    stored = source_images.store(user=alice, upload=image_upload(make_image(kind)))
    assert (stored.mime_type, stored.width, stored.height) == ("image/jpeg", 640, 360)
    assert stored.name.startswith("images/")
    assert stored.name.endswith(".jpg")
    assert len(Path(stored.name).stem) >= 43
    content = content_of(stored)
    assert content != make_image(kind)
    assert (stored.size_bytes, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert open_image(stored).getpixel((320, 180)) == pytest.approx((240, 200, 60), abs=6)


def test_the_location_is_removed_and_the_orientation_applied(alice: User, image_upload: Upload) -> None:
    image = Image.new("RGB", (600, 300), (200, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[1] = "N"
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, comment=b"my address")
    stored = source_images.store(user=alice, upload=image_upload(file.getvalue()))
    assert (stored.width, stored.height) == (300, 600)
    assert not open_image(stored).getexif()
    assert b"Secret" not in content_of(stored)
    assert b"my address" not in content_of(stored)


def test_text_and_trailing_bytes_of_a_png_are_removed(alice: User, image_upload: Upload) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "somebody")
    image = Image.new("RGBA", (300, 300), (0, 0, 200, 90))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text)
    stored = source_images.store(user=alice, upload=image_upload(file.getvalue() + b"<script>alert(1)</script>"))
    assert (stored.mime_type, Path(stored.name).suffix) == ("image/png", ".png")
    assert b"somebody" not in content_of(stored)
    assert b"script" not in content_of(stored)
    assert open_image(stored).getpixel((5, 5)) == (0, 0, 200, 90)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_colour_mode_is_decoded(alice: User, image_upload: Upload, mode: str) -> None:
    fill: dict[str, int | tuple[int, ...]] = {"I;16": 40_000, "RGBA": (9, 9, 9, 255), "LA": (9, 255)}
    image = Image.new(mode, (300, 280), fill.get(mode, 0))
    file = io.BytesIO()
    image.save(file, "JPEG" if mode == "CMYK" else "PNG")
    stored = source_images.store(user=alice, upload=image_upload(file.getvalue()))
    assert (stored.mime_type, stored.width) == ("image/jpeg", 300)
    if mode == "I;16":
        assert open_image(stored).convert("L").getpixel((9, 9)) == pytest.approx(156, abs=2)


def test_a_large_image_is_made_smaller(alice: User, image_upload: Upload) -> None:
    stored = source_images.store(user=alice, upload=image_upload(make_image("JPEG", width=6000, height=3000)))
    assert (stored.width, stored.height) == (4096, 2048)


def png_claiming_size(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + bytes(12)


def webp_claiming_size(kind: bytes, width: int, height: int) -> bytes:
    sizes = {
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 ": b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }
    chunk = kind + struct.pack("<I", 10) + sizes[kind]
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def jpeg_claiming_size(width: int, height: int) -> bytes:
    content = bytearray(make_image("JPEG"))
    offset = content.index(b"\xff\xc0")
    content[offset + 5 : offset + 9] = struct.pack(">HH", height, width)
    return bytes(content)


OVERSIZED_IMAGES = [
    png_claiming_size(50_000, 50_000),
    webp_claiming_size(b"VP8X", 16_000, 16_000),
    webp_claiming_size(b"VP8L", 16_000, 16_000),
    webp_claiming_size(b"VP8 ", 16_000, 16_000),
    jpeg_claiming_size(60_000, 60_000),
]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff" + bytes(10 * 1024 * 1024), "too_large"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "format"),
        (b"%PDF-1.7", "format"),
        (make_video(duration_s=1), "format"),
        (make_image("GIF"), "format"),
        (make_image("PNG")[:600], "broken"),
        (make_image("JPEG")[:500], "broken"),
        (make_image("WEBP")[:300], "broken"),
        (b"\xff\xd8\xff", "broken"),
        (b"\xff\xd8\xff" + bytes(100), "broken"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"RIFF\x00\x00\x00\x00WEBP", "broken"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8Z" + bytes(50), "broken"),
        (make_image("PNG", width=255, height=900), "too_small"),
        (make_image("PNG", width=900, height=90), "too_small"),
        *[(image, "too_many_pixels") for image in OVERSIZED_IMAGES],
    ],
)
def test_an_unusable_image_is_refused_with_a_plain_message(
    alice: User, image_upload: Upload, content: bytes, code: str
) -> None:
    with pytest.raises(ImageRefused) as refusal:
        source_images.store(user=alice, upload=image_upload(content))
    assert refusal.value.code == code
    assert str(refusal.value).endswith(".")
    assert not SourceImage.objects.exists()


def test_a_second_header_cannot_hide_too_many_pixels(alice: User, image_upload: Upload) -> None:
    """Our check reads the first frame header, the decoder the last."""
    content = make_image("JPEG")
    offset = content.index(b"\xff\xc0")
    length = struct.unpack(">H", content[offset + 2 : offset + 4])[0] + 2
    second = bytearray(content[offset : offset + length])
    second[5:9] = struct.pack(">HH", 9000, 9000)
    with pytest.raises(ImageRefused) as refusal:
        source_images.store(
            user=alice, upload=image_upload(content[: offset + length] + bytes(second) + content[offset + length :])
        )
    assert refusal.value.code in ("too_many_pixels", "broken")


def test_the_same_image_of_the_same_user_is_stored_once(alice: User, bob: User, image_upload: Upload) -> None:
    first = source_images.store(user=alice, upload=image_upload(make_image()))
    assert source_images.store(user=alice, upload=image_upload(make_image())).pk == first.pk
    assert source_images.store(user=bob, upload=image_upload(make_image())).pk != first.pk


def test_a_user_can_store_a_limited_number_of_unused_images(
    alice: User, bob: User, image_upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_images, "MAX_UNUSED", 2)
    first = source_images.store(user=alice, upload=image_upload(make_image(width=300, height=300)))
    source_images.store(user=alice, upload=image_upload(make_image(width=301, height=300)))
    third = image_upload(make_image(width=302, height=300))
    with pytest.raises(ImageRefused) as refusal:
        source_images.store(user=alice, upload=third)
    assert refusal.value.code == "quota"
    source_images.store(user=bob, upload=image_upload(make_image(width=302, height=300)))
    order_with(alice, first)
    source_images.store(user=alice, upload=image_upload(make_image(width=302, height=300)))


def order_with(user: User, *images: SourceImage) -> VideoTask:
    give_credits(user, 100)
    order = VideoOrder(
        prompt="a kite",
        generation_type="FIRST_AND_LAST_FRAMES_2_VIDEO",
        image_ids=tuple(image.pk for image in images),
    )
    return orders.create(user=user, order=order, idempotency_key=f"order-{VideoTask.objects.count()}")


def test_unused_images_are_deleted_after_a_week_and_used_ones_stay(alice: User, image_upload: Upload) -> None:
    used = source_images.store(user=alice, upload=image_upload(make_image(width=300, height=300)))
    unused = source_images.store(user=alice, upload=image_upload(make_image(width=301, height=300)))
    task = order_with(alice, used)
    assert source_images.delete_unused(clock.now() + timedelta(days=6)) == 0
    assert source_images.delete_unused(clock.now() + timedelta(days=8)) == 1
    assert list(SourceImage.objects.all()) == [used]
    assert not media_store.exists(unused.name)
    assert media_store.exists(used.name)
    VideoTask.objects.filter(pk=task.pk).update(deleted_at=clock.now())
    assert source_images.delete_unused(clock.now() + timedelta(days=8)) == 1
    assert not TaskImage.objects.exists()
    assert not media_store.exists(used.name)


def test_a_closed_accounts_images_are_deleted_except_those_still_needed(
    alice: User, bob: User, image_upload: Upload
) -> None:
    needed = source_images.store(user=alice, upload=image_upload(make_image(width=300, height=300)))
    other = source_images.store(user=alice, upload=image_upload(make_image(width=301, height=300)))
    bobs = source_images.store(user=bob, upload=image_upload(make_image(width=302, height=300)))
    task = order_with(alice, needed)
    assert source_images.delete_images_of(user=alice) == 1
    assert set(SourceImage.objects.all()) == {needed, bobs}
    assert not media_store.exists(other.name)
    VideoTask.objects.filter(pk=task.pk).update(status="failed", finished_at=clock.now())
    assert source_images.delete_images_of(user=alice) == 1


def test_images_are_uploaded_once_and_sent_in_the_sequence_of_the_order(
    alice: User, image_upload: Upload, at_sandbox: SandboxProcess
) -> None:
    first = source_images.store(user=alice, upload=image_upload(make_image(width=300, height=300)))
    second = source_images.store(user=alice, upload=image_upload(make_image(width=301, height=300)))
    client = Kie(at_sandbox.api_key, at_sandbox.url, at_sandbox.url)
    task = order_with(alice, second, first)
    assert not source_images.are_at_provider(task=task, account_id=7)
    source_images.upload_to_provider(task=task, account_id=7, client=client)
    source_images.upload_to_provider(task=task, account_id=7, client=client)
    assert source_images.are_at_provider(task=task, account_id=7)
    urls = source_images.provider_urls(task=task)
    assert [str(image.pk) in url for image, url in zip((second, first), urls, strict=True)] == [True, True]
    uploads = sum(count for path, count in at_sandbox.read_state()["requests"].items() if "upload" in path)
    assert uploads == 2
    assert not source_images.are_at_provider(task=task, account_id=8)


def test_images_are_uploaded_again_before_the_provider_deletes_them(
    alice: User, image_upload: Upload, world: World
) -> None:
    image = source_images.store(user=alice, upload=image_upload(make_image()))
    client = Kie(world.sandbox.api_key, world.sandbox.url, world.sandbox.url)
    task = order_with(alice, image)
    source_images.upload_to_provider(task=task, account_id=7, client=client)
    world.advance(hours=21)
    assert source_images.are_at_provider(task=task, account_id=7)
    world.advance(hours=2)
    assert not source_images.are_at_provider(task=task, account_id=7)


def test_an_image_that_cannot_be_read_makes_the_task_wait_without_a_paid_request(
    alice: User, image_upload: Upload, at_sandbox: SandboxProcess
) -> None:
    image = source_images.store(user=alice, upload=image_upload(make_image()))
    task = order_with(alice, image)
    media_store.delete(image.name)
    client = Kie(at_sandbox.api_key, at_sandbox.url, at_sandbox.url)
    with pytest.raises(errors.NoAnswer):
        source_images.upload_to_provider(task=task, account_id=7, client=client)


def test_a_video_from_an_image_becomes_ready(alice: User, image_upload: Upload, world: World) -> None:
    image = source_images.store(user=alice, upload=image_upload(make_image()))
    task = order_with(alice, image)
    world.run()
    world.assert_charged(task)
