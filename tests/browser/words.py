"""What the pages say in each language, as far as the tests of the journey read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What the pages say in one language, as far as the journey reads it."""

    prompt: str
    hero: str
    begin: str
    sign_up: str
    email: str
    password: str
    subject: str
    code: str
    go_on: str
    make: str
    leaves: str
    generating: str
    download: str
    receipt: str
    charged: str
    checked: str
    credits: str
    welcome: str
    refused: str
    why: str
    back: str
    retry: str


ENGLISH = Words(
    prompt="A lighthouse at dusk, waves, slow dolly in",
    hero="Write it. See the price. Watch it become a video.",
    begin="Start",
    sign_up="Sign up",
    email="E-mail address",
    password="Password",
    subject="is your veoapp code",
    code="Code",
    go_on="Continue",
    make="Make video",
    leaves="leaves",
    generating="Generating",
    download="Download",
    receipt="Receipt",
    charged="Ordered; {n} credits charged.",
    checked="Saved and checked: it plays.",
    credits="Credits",
    welcome="Welcome",
    refused="Refused by the provider",
    why="The prompt contains something that the provider's rules do not allow.",
    back="{n} credits were refunded",
    retry="Edit and retry",
)
CHINESE = Words(
    prompt="黄昏的灯塔，长浪涌来，镜头缓缓推进，远处传来浪声",
    hero="写下一段话，看清价格，看它变成视频。",
    begin="开始",
    sign_up="注册",
    email="邮箱",
    password="密码",
    subject="是你的 veoapp 验证码",
    code="验证码",
    go_on="继续",
    make="生成视频",
    leaves="剩余",
    generating="生成中",
    download="下载",
    receipt="收据",
    charged="已下单，扣除 {n} 积分。",
    checked="已保存并检查，可以播放。",
    credits="积分",
    welcome="注册赠送",
    refused="被服务商拒绝",
    why="提示词涉及服务商规则不允许的内容。",
    back="{n} 积分已退还",
    retry="修改后重试",
)
