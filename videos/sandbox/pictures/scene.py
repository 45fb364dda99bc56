"""Chooses place, hour, weather and colours of a picture by the English or Chinese words of the prompt."""

import random
from dataclasses import dataclass

PLACES = {
    "sea": "sea ocean wave waves beach coast lighthouse boat ship sail harbour island lake river 海 浪 沙滩 灯塔 船 湖 河流 岛",
    "city": "city street neon skyline tokyo shanghai york london paris car train cyberpunk 城 街 霓虹 高楼 车 上海 北京 东京",
    "forest": "forest tree trees woods jungle garden leaf leaves moss pine deer fox bear bamboo 森林 树 竹 花园 鹿 林 叶",
    "peaks": "mountain mountains peak snow alps ice glacier winter ski cliff arctic penguin wolf 山 雪 冰 冬 峰",
    "dunes": "desert sand dune dunes sahara camel mars canyon savanna africa lion elephant 沙漠 沙丘 骆驼 火星 草原",
    "lights": "cat kitten dog puppy coffee tea kitchen room table cake food portrait woman man girl boy child face dance "
    "piano guitar candle lantern party wedding book window flower rose 猫 狗 咖啡 茶 厨房 房间 女孩 男孩 人 花 灯笼 书",
    "hills": "hill hills field meadow farm valley village horse sheep wheat grass road 田 草地 村 马 羊 麦 山谷 气球 丘",
}
HOURS = {
    "aurora": "aurora 极光",
    "dawn": "dawn sunrise morning spring pink soft gentle pastel misty mist fog 清晨 早晨 日出 黎明 春 雾 粉",
    "day": "day noon sunny bright blue summer clear sky 白天 正午 晴 夏 蓝天 阳光",
    "dusk": "dusk sunset evening golden autumn warm orange amber fire 黄昏 日落 傍晚 夕阳 金 秋 暖",
    "night": "night midnight moon stars star space galaxy dark neon cosmos planet 夜 月 星 太空 宇宙 银河 梦",
}
WEATHERS = {"rain": "rain rainy storm wet umbrella 雨 暴风 伞", "snow": "snow snowy winter blizzard 雪 冬 圣诞"}
_DEFAULT_HOUR = {"city": "night", "lights": "night", "dunes": "dusk", "peaks": "day", "forest": "dawn"}

# Colour gradients from the nearest silhouette to the sun, by place and hour, or by hour alone.
RAMPS = {
    "aurora": ("#030a12 #0b2f3f #12766a #5fe3a0 #f0fff0", "#050716 #1b2a58 #2a7f8f #74ecb4 #f4fff4"),
    "city night": ("#070613 #2a1650 #8a2f86 #ff6fa0 #ffe9b0", "#05080f #0e2a45 #1f6f8a #5fd0c8 #fff0c0"),
    "lights night": ("#150a12 #4a1f3a #a8484a #ffb15c #ffeec8", "#0a0d1c #2c2a5c #7d4f8f #f08f86 #ffe9c4"),
    "forest dawn": ("#0e201c #2f5548 #7fa083 #dfe0b4 #fffbe2", "#101f2a #35586a #86a9a0 #e8dcb8 #fffae6"),
    "hills day": ("#10301f #2f7a58 #86c0a4 #dcefe4 #fffdf0", "#173a2c #4a8f5f #9fcfb8 #e6f2e8 #fffdf0"),
    "dawn": ("#2c2f4f #5a6fa8 #b79ac0 #ffd3b8 #fff3dc", "#26384a #56789a #a9b8cb #ffdfc2 #fff9ea"),
    "day": ("#123449 #2f78b7 #7db8dd #dcecf0 #fffdf0", "#123a3a #2f7f95 #8fc6d6 #eef0dc #fffdf0"),
    "dusk": ("#150d2a #5b2a5e #c2506a #ffad66 #fff0b8", "#101a30 #3d4a78 #b0627f #ff9a62 #ffe6ac"),
    "night": ("#04070f #10234a #2c5482 #86a9cf #f2f5ff", "#06050f #211c50 #56427f #b48cc0 #fff2dc"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    place: str
    hour: str
    weather: str
    ramp: str


def read_scene(prompt: str, *, seed: int) -> Scene:
    """The scene of a prompt; the seed decides what the prompt does not name."""
    rng = random.Random(f"{seed}:{prompt}")  # noqa: S311 - no secrets
    words = set("".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split())

    def best_match(table: dict[str, str]) -> str:
        """The entry with most words in the prompt, the first of several such; "" if no word is in the prompt."""
        scores = {
            name: sum(word in words if word.isascii() else word in prompt for word in keywords.split())
            for name, keywords in table.items()
        }
        return max(scores, key=lambda name: scores[name]) if any(scores.values()) else ""

    place = best_match(PLACES) or rng.choice(("hills", "sea", "peaks", "dunes", "lights"))
    hour = best_match(HOURS) or _DEFAULT_HOUR.get(place) or rng.choice(("dawn", "dusk", "day"))
    weather = best_match(WEATHERS) or "clear"
    ramps = RAMPS.get(f"{place} {hour}") or RAMPS[hour]
    return Scene(place, hour, weather, rng.choice(ramps))
