"""Pages contain no English text for a Chinese reader."""

import re
from collections.abc import Callable

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import translation

from accounts.models import User
from billing.alerts import services as alerts
from tests.i18n.english import CODE, UNTRANSLATED, find_english
from tests.people import PASSWORD, give_credits, make_person
from tests.videos import video_states
from videos.models import VideoTask
from videos.providers.base import RefusalReason

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

PROMPT = "黄昏的灯塔，长浪涌来"


def test_english_is_found_and_names_are_ignored() -> None:
    assert find_english('<p title="Sign out">退出 Make video</p>') == {"Sign out", "Make video"}
    assert find_english("<p>参考图可用 Fast 和 Lite，a@example.com，约 1 MB</p><code>sandbox</code>") == set()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/", "写下一段话，看清价格，看它变成视频。"),
        ("/accounts/login/", "登录"),
        ("/accounts/signup/", "注册"),
        ("/accounts/password/reset/", "重设密码"),
        ("/settings/closed/", "你的账号已注销"),
        ("/nothing", "这里什么也没有"),
    ],
)
def test_public_pages_are_in_chinese(chinese_visitor: Client, address: str, expected: str) -> None:
    page = chinese_visitor.get(address).text
    assert expected in page
    assert find_english(page) == set()


def test_signing_up_is_in_chinese(chinese_visitor: Client) -> None:
    page = chinese_visitor.post("/accounts/signup/", {"email": "lin", "password1": "12345678"}).text
    assert find_english(page) == set()
    response = chinese_visitor.post(
        "/accounts/signup/", {"email": "lin@example.com", "password1": PASSWORD}, follow=True
    )
    assert "输入验证码" in response.text
    assert find_english(response.text) == set()
    assert "是你的 veoapp 验证码" in outbox.outbox[-1].subject


def test_a_wrong_password_is_reported_in_chinese(chinese_visitor: Client, alice: User) -> None:
    page = chinese_visitor.post("/accounts/login/", {"login": alice.email, "password": "wrong"}).text
    assert "邮箱或密码不对" in page
    assert find_english(page) == set()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/", "生成视频"),
        ("/?example=street", "纸船"),
        ("/videos/", "你的视频会放在这里"),
        ("/credits/", "还没有记录"),
        ("/settings/", "这些时候给我发邮件"),
        ("/settings/delete/", "确认是你本人"),
        ("/accounts/email/", "更换邮箱"),
        ("/accounts/password/change/", "更改密码"),
        ("/accounts/2fa/", "验证器应用"),
        ("/accounts/sessions/", "你登录过的设备"),
        ("/accounts/logout/", "要退出登录吗？"),
    ],
)
def test_pages_of_a_new_user_are_in_chinese(chinese_client: Client, address: str, expected: str) -> None:
    page = chinese_client.get(address, follow=True).text
    assert expected in page
    assert find_english(page) == set()


VIDEOS: dict[str, tuple[Callable[..., VideoTask], str]] = {
    "queued": (video_states.make_queued, "取消 · 全额退还"),
    "submitting": (video_states.make_submitting, "正在发送给服务商"),
    "unconfirmed": (video_states.make_unconfirmed, "未确认"),
    "generating": (video_states.make_generating, "生成中"),
    "ready": (video_states.make_ready, "已妥善保存"),
    "refused": (video_states.make_refused, "被服务商拒绝"),
    "late": (video_states.make_late, "视频迟到送达"),
    "cancelled": (video_states.make_cancelled, "发送之前已取消。"),
}


@pytest.mark.parametrize("state", VIDEOS)
def test_pages_of_a_video_in_any_state_are_in_chinese(chinese_client: Client, chinese_user: User, state: str) -> None:
    make, expected = VIDEOS[state]
    task = make(chinese_user, PROMPT)
    page = chinese_client.get(f"/videos/{task.pk}/").text
    assert expected in page
    for address in ("/", f"/?from={task.pk}", "/videos/", "/videos/?q=x", "/credits/", "/credits/?kind=other"):
        page += chinese_client.get(address).text
    page += chinese_client.get(f"/videos/{task.pk}/delete/", follow=True).text
    assert find_english(page) == set()


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_reason_of_refusal_is_in_chinese(
    chinese_client: Client, chinese_user: User, reason: RefusalReason
) -> None:
    task = video_states.make_refused(chinese_user, PROMPT, reason)
    assert find_english(chinese_client.get(f"/videos/{task.pk}/").text) == set()


def test_errors_of_the_studio_are_in_chinese(chinese_client: Client, chinese_user: User) -> None:
    pages = ""
    for form in (
        {},
        {"prompt": "长" * 2001, "seed": "1", "watermark": "长" * 41, "model": "?", "aspect_ratio": "1:1"},
        {"prompt": PROMPT, "mode": "reference"},
        {"prompt": PROMPT, "mode": "both"},
        {"prompt": PROMPT, "mode": "first"},
        {"prompt": PROMPT, "mode": "text"},
    ):
        filled = {"key": "6a1f5c3e-0000-4000-8000-000000000001", "duration_s": "8", "resolution": "720p", **form}
        filled.setdefault("model", "veo3_fast")
        filled.setdefault("aspect_ratio", "16:9")
        filled.setdefault("mode", "text")
        pages += chinese_client.post("/", filled).text
    pages += chinese_client.get("/quote/", {"mode": "reference", "model": "veo3", "duration_s": "4"}).text
    assert "积分不够" in pages
    assert find_english(pages) == set()


def test_a_statement_with_every_kind_of_entry_is_in_chinese(chinese_client: Client, chinese_user: User) -> None:
    give_credits(chinese_user, 1200)
    video_states.make_ready(chinese_user, PROMPT)
    video_states.make_refused(chinese_user, PROMPT)
    page = chinese_client.get("/credits/").text
    assert "积分明细" in page
    assert find_english(page) == set()


def test_pages_of_operators_are_in_chinese(operator: Client) -> None:
    person = make_person("bo@example.com", language="zh-hans")
    tasks = [make(person, PROMPT) for make, _ in VIDEOS.values()]
    for kind in alerts.Kind:
        alerts.raise_alert(kind, cause=f"{kind}", reference=tasks[0].reference)
    index = operator.get("/admin/").text
    # Tables of django_q are not ours.
    lists = sorted(set(re.findall(r'href="(/admin/(?!django_q)[a-z_]+/[a-z_]+/)"', index)))
    assert len(lists) >= 8
    pages = ["/admin/", *lists, *(f"/admin/videos/videotask/{task.pk}/change/" for task in tasks)]
    pages += [f"/admin/accounts/user/{person.pk}/change/", f"{lists[0]}?q=nothing"]
    english_texts = {address: find_english(operator.get(address).text) - UNTRANSLATED for address in pages}
    assert {
        (address, text) for address in english_texts for text in english_texts[address] if not CODE.fullmatch(text)
    } == set()


def test_the_language_is_reset_after_the_request(chinese_user: User, chinese_client: Client) -> None:
    chinese_client.get("/")
    assert translation.get_language() == "en"
