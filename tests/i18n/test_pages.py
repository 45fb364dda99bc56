"""No page and no mail leaves a Chinese reader alone with an English sentence."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.core import mail as outbox
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from accounts.models import User
from billing.alerts import services as alerts
from tests.people import PASSWORD, give_credits, make_person
from tests.videos import video_states
from videos.models import VideoTask
from videos.providers.base import RefusalReason

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_media")]

PROMPT = "黄昏的灯塔，长浪涌来"
# Names and codes that are the same in every language.
NAMES = (
    r"for a test|read timeout|Veo( 3\.1( (Fast|Quality|Lite))?)?|veoapp|WebP|JPEG|PNG|JavaScript|English|sha256|UTC"
    r"|the vendor's own words"
    r"|Fast|Quality|Lite|KIE_AI_API_KEY|manage\.py( worker)?|MB|KB|Auto|SPAM|PIN|ID|URL|Chrome|Firefox|Linux|X11|Alice|Olga"
    r"|[A-Z]{4}-[A-Z]{4}|\S+@\S+|https?://\S+|video:[0-9a-f-]+|[0-9a-f]{8,}[0-9a-f-]*|None fps|[A-Z][a-z]+/[A-Za-z_/-]+"
)
ENGLISH = re.compile(r"[A-Za-z][a-z’']*[a-z](?:[ ,.:;]+[A-Za-z’']+)*")
# A time zone is called as the world's list of them calls it.
UNREAD = {"script", "style", "code", "pre", "svg", "option"}
SPOKEN_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt", "data-add", "data-unit", "data-unit-han")


class Reader(HTMLParser):
    """Collects what a page says, to the eye and to the ear."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in UNREAD
        self.said += [value for name, value in attrs if name in SPOKEN_ATTRIBUTES and value]
        facts = dict(attrs)
        if tag == "meta" and facts.get("name") == "description":
            self.said.append(facts["content"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in UNREAD

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.said.append(" ".join(data.split()))


def english_in(page: str) -> set[str]:
    """The English words that a page says, names and codes aside."""
    reader = Reader()
    reader.feed(page)
    return english_of(reader.said)


def english_of(said: list[str]) -> set[str]:
    return {found for text in said for found in ENGLISH.findall(re.sub(NAMES, "", text)) if len(found) > 2}


@pytest.fixture
def lin(alice: User) -> User:
    """Alice, who reads Chinese."""
    alice.language = "zh-hans"
    alice.save(update_fields=["language"])
    return alice


@pytest.fixture
def reader(lin: User) -> Client:
    """Her browser, signed in."""
    client = Client(headers={"accept-language": "zh-CN"})
    client.force_login(lin)
    return client


@pytest.fixture
def stranger() -> Client:
    """A browser that asks for Chinese."""
    return Client(headers={"accept-language": "zh-CN,zh;q=0.9"})


def test_the_finder_finds_english_and_lets_names_be() -> None:
    assert english_in('<p title="Sign out">退出 Make video</p>') == {"Sign out", "Make video"}
    assert english_in("<p>参考图可用 Fast 和 Lite，a@example.com，约 1 MB</p><code>sandbox</code>") == set()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/", "写下一段话，看清价格，看它变成视频。"),
        ("/accounts/login/", "登录"),
        ("/accounts/signup/", "注册"),
        ("/accounts/password/reset/", "重设密码"),
        ("/settings/closed/", "你的账号已注销"),
        ("/nothing", "这里什么也没有"),
    ],
)
def test_strangers_read_chinese(stranger: Client, address: str, says: str) -> None:
    page = stranger.get(address).text
    assert says in page
    assert english_in(page) == set()


def test_signing_up_is_refused_and_confirmed_in_chinese(stranger: Client) -> None:
    page = stranger.post("/accounts/signup/", {"email": "lin", "password1": "12345678"}).text
    assert english_in(page) == set()
    answer = stranger.post("/accounts/signup/", {"email": "lin@example.com", "password1": PASSWORD}, follow=True)
    assert "输入验证码" in answer.text
    assert english_in(answer.text) == set()
    assert "是你的 veoapp 验证码" in outbox.outbox[-1].subject


def test_a_wrong_password_is_told_in_chinese(stranger: Client, alice: User) -> None:
    page = stranger.post("/accounts/login/", {"login": alice.email, "password": "wrong"}).text
    assert "邮箱或密码不对" in page
    assert english_in(page) == set()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("/", "生成视频"),
        ("/?example=street", "纸船"),
        ("/videos/", "你的视频会放在这里"),
        ("/credits/", "还没有变动"),
        ("/settings/", "这些时候给我发邮件"),
        ("/settings/delete/", "确认是你本人"),
        ("/accounts/email/", "更换邮箱"),
        ("/accounts/password/change/", "更改密码"),
        ("/accounts/2fa/", "验证器应用"),
        ("/accounts/sessions/", "你登录过的设备"),
        ("/accounts/logout/", "要退出登录吗？"),
    ],
)
def test_a_new_person_reads_chinese(reader: Client, address: str, says: str) -> None:
    page = reader.get(address, follow=True).text
    assert says in page
    assert english_in(page) == set()


MADE: dict[str, tuple[Callable[..., VideoTask], str]] = {
    "queued": (video_states.make_queued, "取消 · 全额退还"),
    "submitting": (video_states.make_submitting, "正在发送给服务商"),
    "unconfirmed": (video_states.make_unconfirmed, "未确认"),
    "generating": (video_states.make_generating, "生成中"),
    "ready": (video_states.make_ready, "已妥善保存"),
    "refused": (video_states.make_refused, "被服务商拒绝"),
    "late": (video_states.make_late, "视频迟到送达"),
    "cancelled": (video_states.make_cancelled, "发送之前已取消。"),
}


@pytest.mark.parametrize("state", MADE)
def test_a_video_in_any_state_is_told_in_chinese(reader: Client, lin: User, state: str) -> None:
    make, says = MADE[state]
    task = make(lin, PROMPT)
    page = reader.get(f"/videos/{task.pk}/").text
    assert says in page
    for address in ("/", f"/?from={task.pk}", "/videos/", "/videos/?q=x", "/credits/", "/credits/?kind=other"):
        page += reader.get(address).text
    page += reader.get(f"/videos/{task.pk}/delete/", follow=True).text
    assert english_in(page) == set()


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_reason_is_told_in_chinese(reader: Client, lin: User, reason: RefusalReason) -> None:
    task = video_states.make_refused(lin, PROMPT, reason)
    assert english_in(reader.get(f"/videos/{task.pk}/").text) == set()


def test_the_studio_refuses_in_chinese(reader: Client, lin: User) -> None:
    said = ""
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
        said += reader.post("/", filled).text
    said += reader.get("/quote/", {"mode": "reference", "model": "veo3", "duration_s": "4"}).text
    assert "积分不够" in said
    assert english_in(said) == set()


def test_a_purse_with_every_kind_of_movement_is_told_in_chinese(reader: Client, lin: User) -> None:
    give_credits(lin, 1200)
    video_states.make_ready(lin, PROMPT)
    video_states.make_refused(lin, PROMPT)
    page = reader.get("/credits/").text
    assert "积分明细" in page
    assert english_in(page) == set()


# --- Operators --------------------------------------------------------------------------------------------------------

# What Django and allauth say in English whatever one reads: names of pictures and of a few columns.
FOREIGN = {"Search", "True", "False", "Type", "Created at", "Last seen at", "Last used at", "Control", "Command", "Mac"}
CODE = re.compile(r"[a-z.]+|video [A-Z]+")


@pytest.fixture
def desk(olga: User, settings: Settings) -> Client:
    """Olga's browser inside the operators' site, in Chinese."""
    settings.STAFF_MFA_REQUIRED = False
    olga.language = "zh-hans"
    olga.save(update_fields=["language"])
    client = Client()
    client.force_login(olga)
    return client


def test_operators_read_chinese(desk: Client) -> None:
    person = make_person("bo@example.com", language="zh-hans")
    tasks = [make(person, PROMPT) for make, _ in MADE.values()]
    for kind in alerts.Kind:
        alerts.raise_alert(kind, cause=f"{kind}", reference=tasks[0].reference)
    index = desk.get("/admin/").text
    # The queue's own tables are another application's.
    lists = sorted(set(re.findall(r'href="(/admin/(?!django_q)[a-z_]+/[a-z_]+/)"', index)))
    assert len(lists) >= 8
    pages = ["/admin/", *lists, *(f"/admin/videos/videotask/{task.pk}/change/" for task in tasks)]
    pages += [f"/admin/accounts/user/{person.pk}/change/", f"{lists[0]}?q=nothing"]
    said = {address: english_in(desk.get(address).text) - FOREIGN for address in pages}
    assert {(address, text) for address in said for text in said[address] if not CODE.fullmatch(text)} == set()


def test_the_language_of_a_person_outlives_the_request(lin: User, reader: Client) -> None:
    reader.get("/")
    assert translation.get_language() == "en"
