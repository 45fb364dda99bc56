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


def probed(path: Path) -> tuple[int, int, int]:
    """Width, height and whole seconds by decoding: what a player would find."""
    with av.open(str(path)) as film:
        frames = sum(1 for _frame in film.decode(video=0))
        stream = film.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert frames > 8
        return stream.width, stream.height, round(float(stream.duration * stream.time_base))


def test_a_prompt_becomes_a_file(purse: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    said = generate(PROMPT, "--user", "Alice@Example.com", "--wait", "--output", str(output))
    assert (said.code, said.err) == (0, "")
    assert "Veo 3.1 Fast, 720p, 8 s: 60 credits; 940 left after." in said.out
    assert "No worker is running, so this command does its work meanwhile." in said.out
    assert "Generating" in said.out
    assert f"Written: {output} (1280 x 720, 8.0 s," in said.out
    assert probed(output) == (1280, 720, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    file = VideoFile.objects.get()
    assert output.stat().st_size == file.size_bytes
    assert ledger.balance_of(purse) == 940
    assert [entry.kind for entry in ledger.statement(purse)] == ["charge", "grant"]
    assert len(sandbox.list_accepted()) == 1


def test_every_setting_reaches_the_provider(purse: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    names = []
    for number in range(2):
        Image.new("RGB", (320, 320), (number * 90, 120, 40)).save(tmp_path / f"{number}.png")
        names.append(str(tmp_path / f"{number}.png"))
    options = ["--model", "veo3_lite", "--aspect-ratio", "9:16", "--resolution", "1080p", "--duration", "4"]
    output = tmp_path / "tall.mp4"
    said = generate(
        PROMPT, "--user", purse.email, *options, "--seed", "12345", "--image", *names, "--output", str(output)
    )
    assert said.code == 0, said.err
    task = VideoTask.objects.get()
    assert (task.model, task.aspect_ratio, task.resolution, task.duration_s) == ("veo3_lite", "9:16", "1080p", 4)
    assert (task.seed, task.generation_type) == (12345, VideoTask.GenerationType.FRAMES)
    assert SourceImage.objects.filter(user=purse).count() == 2
    assert probed(output) == (1080, 1920, 4)


def test_a_refused_prompt_is_refunded_and_exits_with_1(purse: User, sandbox: SandboxProcess, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    said = generate("A thing [refuse]", "--user", purse.email, "--wait", "--output", str(output))
    assert said.code == 1
    assert "Refused by the provider." in said.err
    assert "60 credits were refunded; the balance is 1000." in said.err
    assert not output.exists()
    assert ledger.balance_of(purse) == 1000
    assert [entry.kind for entry in ledger.statement(purse)] == ["refund", "charge", "grant"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--user", "nobody@example.com"], "Nobody here has the address nobody@example.com"),
        (["--user", "alice@example.com", "--model", "veo9"], "model: Choose one of the models."),
        (["--user", "alice@example.com", "--duration", "5"], "duration_s: Choose 4, 6 or 8 seconds."),
        (["--user", "alice@example.com", "--image", "a", "b", "c"], "images: Bring a first frame"),
        (["--user", "alice@example.com", "--image", "/no/such.png"], "/no/such.png cannot be read: No such file"),
        (["--user", "alice@example.com", "--image", __file__], "Only JPEG, PNG and WebP"),
        (["--user", "alice@example.com", "--output", "/no/such/out.mp4"], "Nothing can be written into /no/such."),
        (["--user", "alice@example.com", "--output", "/"], "/ is a folder"),
        (["--user", "alice@example.com", "--resolution", "8k"], "resolution: Choose 720p, 1080p or 4K."),
    ],
)
def test_what_cannot_be_ordered_is_refused_before_anything_is_charged(
    purse: User, sandbox: SandboxProcess, arguments: list[str], words: str
) -> None:
    said = generate(PROMPT, *arguments)
    assert said.code == 2
    assert words in said.err
    assert not VideoTask.objects.exists()
    assert not SourceImage.objects.exists()
    assert ledger.balance_of(purse) == 1000
    assert sandbox.list_accepted() == []


def test_without_credits_nothing_is_ordered(alice: User, at_sandbox: SandboxProcess) -> None:
    give_credits(alice, 59)
    said = generate(PROMPT, "--user", alice.email, "--wait")
    assert said.code == 2
    assert "60 credits; you have 59." in said.out
    assert "This video costs 60 credits and you have 59." in said.err
    assert not VideoTask.objects.exists()
    assert ledger.balance_of(alice) == 59


def test_a_disabled_user_cannot_order(purse: User) -> None:
    User.objects.filter(pk=purse.pk).update(is_active=False)
    said = generate(PROMPT, "--user", purse.email)
    assert said.code == 2
    assert "disabled or closed" in said.err


def test_an_unreachable_provider_is_reported_with_a_remedy(purse: User, settings: Settings) -> None:
    settings.KIE_AI_BASE_URL = "http://127.0.0.1:9"
    said = generate(PROMPT, "--user", purse.email, "--wait")
    assert said.code == 2
    assert "The provider at http://127.0.0.1:9 does not answer. Check KIE_AI_API_KEY" in said.err
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", True
    settings.SANDBOX_URL = "http://127.0.0.1:8"
    said = generate(PROMPT, "--user", purse.email, "--wait")
    assert said.code == 2
    assert "Start it with `manage.py sandbox`" in said.err
    settings.SANDBOX_ALLOWED = False
    said = generate(PROMPT, "--user", purse.email, "--wait")
    assert said.code == 2
    assert "set KIE_AI_API_KEY" in said.err
    assert ledger.balance_of(purse) == 1000


def test_a_refused_key_is_reported_and_never_shown(purse: User, settings: Settings) -> None:
    settings.KIE_AI_API_KEY = "a-very-secret-key"
    said = generate(PROMPT, "--user", purse.email, "--wait")
    assert said.code == 2
    assert "refuses our key" in said.err
    assert "a-very-secret-key" not in said.out + said.err


def test_the_same_idempotency_key_returns_the_same_video_charged_once(purse: User, sandbox: SandboxProcess) -> None:
    first = generate(PROMPT, "--user", purse.email, "--key", "monday", "--wait")
    again = generate(PROMPT, "--user", purse.email, "--key", "monday", "--wait")
    other = generate("Dunes", "--user", purse.email, "--key", "monday", "--wait")
    assert (first.code, again.code, other.code) == (0, 0, 2)
    assert "nothing more is charged" in again.out
    assert "another order" in other.err
    assert ledger.balance_of(purse) == 940
    assert len(sandbox.list_accepted()) == 1


def test_without_wait_the_command_only_orders(purse: User) -> None:
    said = generate(PROMPT, "--user", purse.email)
    task = VideoTask.objects.get()
    assert said.code == 0
    assert f"Ordered: {site.APP_URL}/videos/{task.pk}/" in said.out
    assert task.status == "queued"


def test_an_old_file_is_replaced_only_by_a_complete_new_one(purse: User, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("old")
    refused = generate("A thing [refuse]", "--user", purse.email, "--output", str(output))
    assert refused.code == 1
    assert output.read_text() == "old"
    assert generate(PROMPT, "--user", purse.email, "--output", str(output)).code == 0
    assert output.stat().st_size > 1000
