"""Texts of the pages in each language, for the tests of the whole journey."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageTexts:
    """Texts of the pages in one language."""

    prompt: str
    hero: str
    start: str
    sign_up: str
    email: str
    password: str
    subject: str
    code: str
    continue_: str
    make: str
    remaining: str
    generating: str
    download: str
    receipt: str
    charged: str
    checked: str
    credits: str
    sign_up_credits: str
    refused: str
    refusal_reason: str
    refunded: str
    retry: str


ENGLISH = PageTexts(
    prompt="A lighthouse at dusk, waves, slow dolly in",
    hero="Write it. See the price. Watch it become a video.",
    start="Start",
    sign_up="Sign up",
    email="E-mail address",
    password="Password",
    subject="is your veoapp code",
    code="Code",
    continue_="Continue",
    make="Make video",
    remaining="leaves",
    generating="Generating",
    download="Download",
    receipt="Receipt",
    charged="Ordered; {n} credits charged.",
    checked="Saved and checked: it plays.",
    credits="Credits",
    sign_up_credits="Welcome",
    refused="Refused by the provider",
    refusal_reason="The prompt contains something that the provider's rules do not allow.",
    refunded="{n} credits were refunded",
    retry="Edit and retry",
)
CHINESE = PageTexts(
    prompt="黄昏的灯塔，长浪涌来，镜头缓缓推进，远处传来浪声",
    hero="写下一段话，看清价格，看它变成视频。",
    start="开始",
    sign_up="注册",
    email="邮箱",
    password="密码",
    subject="是你的 veoapp 验证码",
    code="验证码",
    continue_="继续",
    make="生成视频",
    remaining="剩余",
    generating="生成中",
    download="下载",
    receipt="收据",
    charged="已下单，扣除 {n} 积分。",
    checked="已保存并检查，可以播放。",
    credits="积分",
    sign_up_credits="注册赠送",
    refused="被服务商拒绝",
    refusal_reason="提示词涉及服务商规则不允许的内容。",
    refunded="{n} 积分已退还",
    retry="修改后重试",
)
