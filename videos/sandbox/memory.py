"""What a sandbox knows, kept in a file over its restarts: a provider does not forget what it was paid for.

Uploads are not kept: they live for a day at most, and may be large. Callbacks on their way are not kept either; a client
that missed one asks record-info.
"""

import json
import os
import sys
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from videos.sandbox.lifecycle import endings, upgrades
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import ProviderState
from videos.sandbox.state.tasks import GENERATING, StoredFile, Task, Upgrade
from videos.sandbox.video_spec import VideoSpec

VERSION = 1
Row = dict[str, Any]

# Fields that have another name in the file, which outlives versions of the code.
_NAMES = {"video": "film", "upgrade_1080p": "hd", "upgrade_4k": "uhd", "video_path": "film_path", "poster": "still"}
_FIELDS = {name: field for field, name in _NAMES.items()}


class Memory:
    """The file of one sandbox. `load` once before it serves; `save` now and then, and once it has stopped."""

    def __init__(self, box: Sandbox, path: Path) -> None:
        self._box = box
        self._path = path
        self._saved: object = None

    def load(self) -> None:
        """Go on where the file ends, and with what was running. A file that cannot be read is renamed, with a warning."""
        try:
            _fill(self._box, json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as problem:
            aside = self._path.with_suffix(".unreadable")
            self._path.replace(aside)
            print(
                f"sandbox: {self._path} cannot be read ({problem}); it is {aside} now, and the sandbox starts empty.",
                file=sys.stderr,
            )
            return
        for task in list(self._box.state.tasks.values()):
            # What was due meanwhile ends at once.
            if task.flag == GENERATING and task.kind != "upgrade-4k":
                endings.begin(self._box, task)
            upgrades.schedule_ends(self._box, task)

    def save(self) -> None:
        """Write down what is known, if anything happened since the last time."""
        state = self._box.state
        with state.lock:
            happened = (state, self._box.log.latest, len(state.files))
            if happened == self._saved:
                return
            text = json.dumps(_content(state), ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            # Callback addresses are secrets: the file is for its owner alone.
            with open(draft, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
            draft.replace(self._path)
        except OSError as problem:
            # It goes on without the file; the next call tries again.
            print(f"sandbox: cannot write {self._path} ({problem.strerror})", file=sys.stderr)
            return
        self._saved = happened


def _content(state: ProviderState) -> Row:
    return {
        "version": VERSION,
        "at": state.clock.now(),
        "balance": str(state.balance),
        "accepted": state.accepted,
        "prices": {item: str(price) for item, price in state.prices.items()},
        "tasks": [_task_row(task) for task in state.tasks.values()],
        "files": {path: _file_row(stored) for path, stored in state.files.items() if stored.video},
        "minted": [],  # no longer used
    }


def _renamed(row: Row, names: dict[str, str] = _NAMES) -> Row:
    return {names.get(key, key): value for key, value in row.items()}


def _task_row(task: Task) -> Row:
    row: Row = {field.name: getattr(task, field.name) for field in fields(Task)}
    row |= {"price": str(task.price), "parent": task.parent.id if task.parent else None, "video": asdict(task.video)}
    for name in ("upgrade_1080p", "upgrade_4k"):
        row[name] = _renamed(asdict(row[name])) if row[name] else None
    return _renamed(row)


def _file_row(stored: StoredFile) -> Row:
    row = asdict(stored)
    del row["upload"]
    return _renamed(row)


def _fill(box: Sandbox, known: Row) -> None:
    """All or nothing: the state is touched once every part of the file made sense."""
    if known["version"] != VERSION:
        raise ValueError(f"version {known['version']}")
    tasks: dict[str, Task] = {}
    for row in known["tasks"]:
        tasks[row["id"]] = _task(row, tasks)
    files = {path: _file(row) for path, row in known["files"].items()}
    balance, accepted = Decimal(known["balance"]), int(known["accepted"])
    prices = {item: Decimal(price) for item, price in known["prices"].items()}
    # Its time never runs backwards, however fast it ran before.
    box.clock.advance(max(0.0, float(known["at"]) - box.clock.now()))
    box.state.set_prices(prices)
    box.state.balance, box.state.accepted = balance, accepted
    box.state.tasks.update(tasks)
    box.state.files.update(files)


def _task(row: Row, tasks: dict[str, Task]) -> Task:
    row = _renamed(row, _FIELDS)
    row |= {"price": Decimal(row["price"]), "parent": tasks.get(row["parent"]), "video": VideoSpec(**row["video"])}
    for name in ("upgrade_1080p", "upgrade_4k"):
        row[name] = Upgrade(**_renamed(row[name], _FIELDS)) if row[name] else None
    return Task(**row)


def _file(row: Row) -> StoredFile:
    row = _renamed(row, _FIELDS)
    return StoredFile(**row | {"video": VideoSpec(**row["video"])})
