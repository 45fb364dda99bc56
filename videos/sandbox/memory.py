"""What a sandbox knows, kept in a file over its restarts: a provider does not forget what it was paid for.

Uploads are not kept: they are lent for a day at most, and may be large. Callbacks on their way are not either; whoever
missed one asks.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from videos.sandbox import outcome
from videos.sandbox.house import Sandbox
from videos.sandbox.video_spec import VideoSpec
from videos.sandbox.world import GENERATING, Stored, Task, Upgrade, World

VERSION = 1
Row = dict[str, Any]


class Memory:
    """The file of one sandbox. `recall` once before it serves; `keep` now and then, and once it has stopped."""

    def __init__(self, box: Sandbox, path: Path) -> None:
        self._box = box
        self._path = path
        self._kept: object = None

    def recall(self) -> None:
        """Go on where the file ends, and with what was running. A file that cannot be read is put aside, and said so."""
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            _fill(self._box, known)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as problem:
            aside = self._path.with_suffix(".unreadable")
            self._path.replace(aside)
            print(
                f"sandbox: {self._path} cannot be read ({problem}); it is {aside} now, and all begins anew.",
                file=sys.stderr,
            )
            return
        _go_on(self._box)

    def keep(self) -> None:
        """Write down what is known, if anything happened since the last time."""
        world = self._box.world
        with world.lock:
            happened = (world, self._box.truth.latest, len(world.files), len(world.minted))
            if happened == self._kept:
                return
            text = json.dumps(_told(world), ensure_ascii=False)
        try:
            self._write(text)
        except OSError as problem:
            # It goes on with what it has in mind; the next look tries again.
            print(f"sandbox: cannot keep {self._path} ({problem.strerror})", file=sys.stderr)
            return
        self._kept = happened

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        # Callback addresses are secrets: for its owner alone.
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        draft.replace(self._path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _told(world: World) -> Row:
    return {
        "version": VERSION,
        "at": world.clock.now(),
        "balance": str(world.balance),
        "accepted": world.accepted,
        "prices": {item: str(price) for item, price in world.prices.all().items()},
        "tasks": [_task_told(task) for task in world.tasks.values()],
        "files": {path: _file_told(stored) for path, stored in world.files.items() if stored.film},
        "minted": sorted(world.minted),
    }


def _task_told(task: Task) -> Row:
    row: Row = {field.name: getattr(task, field.name) for field in fields(Task)}
    row["price"] = str(task.price)
    row["parent"] = task.parent.id if task.parent else None
    return row | {name: asdict(row[name]) if row[name] else None for name in ("film", "hd", "uhd")}


def _file_told(stored: Stored) -> Row:
    row = asdict(stored)
    del row["upload"]
    return row


def _fill(box: Sandbox, known: Row) -> None:
    """All or nothing: the world is touched once every part of the file made sense."""
    if known["version"] != VERSION:
        raise ValueError(f"version {known['version']}")
    tasks: dict[str, Task] = {}
    for row in known["tasks"]:
        tasks[row["id"]] = Task(**_task_read(row, tasks.get))
    files = {path: Stored(**row | {"film": VideoSpec(**row["film"])}) for path, row in known["files"].items()}
    balance, accepted, minted = Decimal(known["balance"]), int(known["accepted"]), set(known["minted"])
    prices = {item: Decimal(price) for item, price in known["prices"].items()}
    # Its time never runs backwards, however fast it ran before.
    box.clock.advance(max(0.0, float(known["at"]) - box.clock.now()))
    box.world.prices.edit(prices)
    box.world.balance, box.world.accepted = balance, accepted
    box.world.tasks.update(tasks)
    box.world.files.update(files)
    box.world.minted.update(minted)


def _task_read(row: Row, task_of: Callable[[str], Task | None]) -> Row:
    return row | {
        "price": Decimal(row["price"]),
        "film": VideoSpec(**row["film"]),
        "hd": Upgrade(**row["hd"]) if row["hd"] else None,
        "uhd": Upgrade(**row["uhd"]) if row["uhd"] else None,
        "parent": task_of(row["parent"]) if row["parent"] else None,
    }


def _go_on(box: Sandbox) -> None:
    """Put the ends of what was running on the agenda again; what was due meanwhile ends at once."""
    for task in list(box.world.tasks.values()):
        if task.flag == GENERATING and task.kind != "upgrade-4k":
            outcome.begin(box, task)
        outcome.go_on_upgrading(box, task)
