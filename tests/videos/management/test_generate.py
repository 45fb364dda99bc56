"""`manage.py generate`: orders, refusals and the written file."""

from pathlib import Path

import av
import pytest
from django.conf import settings as site
from PIL import Image
from pytest_django import Settings

from accounts.models import User
from billing.credits import ledger
from tests.people import give_credits
from tests.sandbox import SandboxProcess
from tests.videos.management.generate_command import PROMPT, generate
from videos.models import SourceImage, VideoFile, VideoTask

pytestmark = pytest.mark.django_db(transaction=True)


def probe_video(path: Path) -> tuple[int, int, int]:
    """Width, height and whole seconds, found by decoding."""
    with av.open(str(path)) as container:
        frames = sum(1 for _frame in container.decode(video=0))
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert frames > 8
        return stream.width, stream.height, round(float(stream.duration * stream.time_base))


def test_a_prompt_becomes_a_file(buyer: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    result = generate(PROMPT, "--user", "Alice@Example.com", "--wait", "--output", str(output))
    assert (result.code, result.err) == (0, "")
    assert "Veo 3.1 Fast, 720p, 8 s: 60 credits; 940 left after." in result.out
    assert "No worker is running, so this command does the work itself." in result.out
    assert "Generating" in result.out
    assert f"Written: {output} (1280 x 720, 8.0 s," in result.out
    assert probe_video(output) == (1280, 720, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    file = VideoFile.objects.get()
    assert output.stat().st_size == file.size_bytes
    assert ledger.balance_of(buyer) == 940
    assert [entry.kind for entry in ledger.statement(buyer)] == ["charge", "grant"]
    assert len(sandbox.list_accepted()) == 1


def test_every_setting_reaches_the_provider(buyer: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    names = []
    for number in range(2):
        Image.new("RGB", (320, 320), (number * 90, 120, 40)).save(tmp_path / f"{number}.png")
        names.append(str(tmp_path / f"{number}.png"))
    options = ["--model", "veo3_lite", "--aspect-ratio", "9:16", "--resolution", "1080p", "--duration", "4"]
    output = tmp_path / "tall.mp4"
    result = generate(
        PROMPT, "--user", buyer.email, *options, "--seed", "12345", "--image", *names, "--output", str(output)
    )
    assert result.code == 0, result.err
    task = VideoTask.objects.get()
    assert (task.model, task.aspect_ratio, task.resolution, task.duration_s) == ("veo3_lite", "9:16", "1080p", 4)
    assert (task.seed, task.generation_type) == (12345, VideoTask.GenerationType.FRAMES)
    assert SourceImage.objects.filter(user=buyer).count() == 2
    assert probe_video(output) == (1080, 1920, 4)


def test_a_refused_prompt_is_refunded_and_exits_with_1(buyer: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    result = generate("A thing [refuse]", "--user", buyer.email, "--wait", "--output", str(output))
    assert result.code == 1
    assert "Refused by the provider." in result.err
    assert "60 credits were refunded; the balance is 1000." in result.err
    assert not output.exists()
    assert ledger.balance_of(buyer) == 1000
    assert [entry.kind for entry in ledger.statement(buyer)] == ["refund", "charge", "grant"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "nobody@example.com"], "No user has the address nobody@example.com"),
        (["--user", "alice@example.com", "--model", "veo9"], "model: Choose one of the models."),
        (["--user", "alice@example.com", "--duration", "5"], "duration_s: Choose 4, 6 or 8 seconds."),
        (["--user", "alice@example.com", "--image", "a", "b", "c"], "images: Add a first frame"),
        (["--user", "alice@example.com", "--image", "/no/such.png"], "/no/such.png cannot be read: No such file"),
        (["--user", "alice@example.com", "--image", __file__], "Only JPEG, PNG and WebP"),
        (["--user", "alice@example.com", "--output", "/no/such/out.mp4"], "Nothing can be written into /no/such."),
        (["--user", "alice@example.com", "--output", "/"], "/ is a folder"),
        (["--user", "alice@example.com", "--resolution", "8k"], "resolution: Choose 720p, 1080p or 4K."),
    ],
)
def test_an_invalid_order_is_refused_before_anything_is_charged(
    buyer: User, sandbox: SandboxProcess, arguments: list[str], message: str
) -> None:
    result = generate(PROMPT, *arguments)
    assert result.code == 2
    assert message in result.err
    assert not VideoTask.objects.exists()
    assert not SourceImage.objects.exists()
    assert ledger.balance_of(buyer) == 1000
    assert sandbox.list_accepted() == []


def test_without_credits_nothing_is_ordered(alice: User, at_sandbox: SandboxProcess) -> None:
    give_credits(alice, 59)
    result = generate(PROMPT, "--user", alice.email, "--wait")
    assert result.code == 2
    assert "60 credits; you have 59." in result.out
    assert "This video costs 60 credits and you have 59." in result.err
    assert not VideoTask.objects.exists()
    assert ledger.balance_of(alice) == 59


def test_a_disabled_user_cannot_order(buyer: User) -> None:
    User.objects.filter(pk=buyer.pk).update(is_active=False)
    result = generate(PROMPT, "--user", buyer.email)
    assert result.code == 2
    assert "disabled or closed" in result.err


def test_an_unreachable_provider_is_reported_with_a_remedy(buyer: User, settings: Settings) -> None:
    settings.KIE_AI_BASE_URL = "http://127.0.0.1:9"
    result = generate(PROMPT, "--user", buyer.email, "--wait")
    assert result.code == 2
    assert "The provider at http://127.0.0.1:9 does not answer. Check KIE_AI_API_KEY" in result.err
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", True
    settings.SANDBOX_URL = "http://127.0.0.1:8"
    result = generate(PROMPT, "--user", buyer.email, "--wait")
    assert result.code == 2
    assert "Start it with `manage.py sandbox`" in result.err
    settings.SANDBOX_ALLOWED = False
    result = generate(PROMPT, "--user", buyer.email, "--wait")
    assert result.code == 2
    assert "set KIE_AI_API_KEY" in result.err
    assert ledger.balance_of(buyer) == 1000


def test_a_refused_key_is_reported_and_never_shown(buyer: User, settings: Settings) -> None:
    settings.KIE_AI_API_KEY = "a-very-secret-key"
    result = generate(PROMPT, "--user", buyer.email, "--wait")
    assert result.code == 2
    assert "refuses our key" in result.err
    assert "a-very-secret-key" not in result.out + result.err


def test_the_same_idempotency_key_returns_the_same_video_charged_once(buyer: User, sandbox: SandboxProcess) -> None:
    first = generate(PROMPT, "--user", buyer.email, "--key", "monday", "--wait")
    repeated = generate(PROMPT, "--user", buyer.email, "--key", "monday", "--wait")
    other = generate("Dunes", "--user", buyer.email, "--key", "monday", "--wait")
    assert (first.code, repeated.code, other.code) == (0, 0, 2)
    assert "nothing more is charged" in repeated.out
    assert "a different order" in other.err
    assert ledger.balance_of(buyer) == 940
    assert len(sandbox.list_accepted()) == 1


def test_without_wait_the_command_only_orders(buyer: User) -> None:
    result = generate(PROMPT, "--user", buyer.email)
    task = VideoTask.objects.get()
    assert result.code == 0
    assert f"Ordered: {site.APP_URL}/videos/{task.pk}/" in result.out
    assert task.status == "queued"


def test_an_old_file_is_replaced_only_by_a_complete_new_one(buyer: User, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("old")
    refused = generate("A thing [refuse]", "--user", buyer.email, "--output", str(output))
    assert refused.code == 1
    assert output.read_text() == "old"
    assert generate(PROMPT, "--user", buyer.email, "--output", str(output)).code == 0
    assert output.stat().st_size > 1000
