"""What the words of a prompt call for: a place, an hour, a weather. English and Chinese words are known."""

import random
from dataclasses import dataclass

from videos.sandbox.art.paint import Colour, rgb

PLACES: dict[str, str] = {
    "sea": "sea ocean wave waves beach coast lighthouse boat ship sail harbour harbor island lake river whale surf "
    "海 浪 沙滩 灯塔 船 湖 河 岛",
    "city": "city street neon skyline tokyo shanghai york london paris building traffic car train cyberpunk robot urban "
    "rooftop metro market subway 城 街 霓虹 高楼 车 上海 北京 东京 机器人",
    "forest": "forest tree trees woods jungle garden leaf leaves moss pine deer fox bear fern bamboo mushroom "
    "森林 树 竹 花园 鹿 林 叶",
    "peaks": "mountain mountains peak snow alps ice glacier winter ski cliff himalaya arctic penguin wolf 山 雪 冰 冬 峰",
    "dunes": "desert sand dune dunes sahara camel mars canyon savanna africa lion elephant 沙漠 沙丘 骆驼 火星 草原",
    "lights": "cat kitten dog puppy coffee tea kitchen room table chef cake food portrait woman man girl boy child face "
    "dance dancer piano guitar candle lantern party wedding book window flower flowers rose glass "
    "猫 狗 咖啡 茶 厨房 房间 女孩 男孩 人 花 灯笼 蜡烛 舞 书",
    "hills": "hill hills field meadow farm valley village horse sheep wheat grass balloon road countryside "
    "田 草地 村 马 羊 麦 山谷 气球 丘",
}
HOURS: dict[str, str] = {
    "dawn": "dawn sunrise morning spring pink soft gentle pastel misty mist fog 清晨 早晨 日出 黎明 春 雾 粉",
    "day": "day noon sunny bright blue summer clear sky 白天 正午 晴 夏 蓝天 阳光",
    "dusk": "dusk sunset evening golden autumn warm orange amber fire 黄昏 日落 傍晚 夕阳 金 秋 暖",
    "night": "night midnight moon stars star space galaxy dark neon aurora cosmos planet dream lantern "
    "夜 月 星 太空 宇宙 银河 极光 梦",
}
WEATHERS: dict[str, str] = {
    "rain": "rain rainy storm drizzle wet umbrella 雨 暴风 伞",
    "snow": "snow snowy winter blizzard ice frozen arctic christmas 雪 冬 冰 圣诞",
}


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one hour, from the top of the sky down to what stands nearest."""

    zenith: Colour
    sky: Colour
    horizon: Colour
    light: Colour
    haze: Colour
    near: Colour
    later: Colour  # what the sky turns to


@dataclass(frozen=True, slots=True)
class Mood:
    place: str
    hour: str
    weather: str
    palette: Palette
    aurora: bool
    lighthouse: bool


def _palette(*colours: str) -> Palette:
    return Palette(*(rgb(colour) for colour in colours))


PALETTES: dict[str, tuple[Palette, ...]] = {
    "dawn": (
        _palette("#5a6fa8", "#b79ac0", "#ffd3b8", "#fff0d6", "#d9b6bd", "#2c2f4f", "#7d93c9"),
        _palette("#6d8fb3", "#c7c3cf", "#ffdfc2", "#fff6e3", "#cfc4cb", "#26384a", "#8fb4d6"),
    ),
    "day": (
        _palette("#2f78b7", "#7db8dd", "#dcecf0", "#fffbe8", "#b4d0dc", "#183a4a", "#3f8ecb"),
        _palette("#3a86b0", "#8fc6d6", "#eef0dc", "#fffdf0", "#bcd6cf", "#17403f", "#58a3c9"),
    ),
    "dusk": (
        _palette("#2a2350", "#9c4a68", "#ffb066", "#ffe6a8", "#c97a66", "#1a1330", "#1c1d48"),
        _palette("#1f3358", "#7a5a86", "#ff9a62", "#ffdf9c", "#b77070", "#141a30", "#172648"),
        _palette("#3a2a4a", "#c2583f", "#ffc15e", "#fff0b0", "#d18a52", "#21121f", "#2b2044"),
    ),
    "night": (
        _palette("#060b1f", "#12244a", "#2f4f78", "#e8f0ff", "#1c3557", "#04070f", "#081230"),
        _palette("#0a0a24", "#241f52", "#55427c", "#fff4e0", "#2e2a58", "#05050f", "#0b0e2c"),
    ),
}


def read(prompt: str, *, seed: int) -> Mood:
    """The mood of a prompt; what it leaves open, the seed decides."""
    dice = random.Random(f"{seed}:{prompt}")  # noqa: S311 - dice, not secrets
    words = set("".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split())
    place = _best(PLACES, prompt, words) or dice.choice(("hills", "sea", "peaks", "dunes", "lights"))
    usual = {"city": "night", "lights": "night", "dunes": "dusk", "peaks": "day", "forest": "dawn"}.get(place)
    hour = _best(HOURS, prompt, words) or usual or dice.choice(("dawn", "dusk", "day"))
    weather = _best(WEATHERS, prompt, words) or ("snow" if place == "peaks" and dice.random() < 0.5 else "clear")
    return Mood(
        place=place,
        hour=hour,
        weather=weather,
        palette=dice.choice(PALETTES[hour]),
        aurora="aurora" in words or "极光" in prompt,
        lighthouse="lighthouse" in words or "灯塔" in prompt,
    )


def _best(table: dict[str, str], prompt: str, words: set[str]) -> str:
    """The entry most of whose words are there. The table's order breaks ties."""
    scores = {name: sum(_is_said(word, prompt, words) for word in text.split()) for name, text in table.items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] else ""


def _is_said(word: str, prompt: str, words: set[str]) -> bool:
    return word in words if word.isascii() else word in prompt
