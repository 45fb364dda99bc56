"""Keeps the state of a sandbox in a file across restarts, because a provider does not forget paid tasks.

Uploads are not kept: they expire after a day and may be large. Unsent callbacks are not kept either; a client that
missed one polls record-info.
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

# Field names in the code and, if they differ, in the file: the code's were changed, but old files must stay readable.
_NAMES = {"video": "film", "upgrade_1080p": "hd", "upgrade_4k": "uhd", "video_path": "film_path", "poster": "still"}
_FIELDS = {name: field for field, name in _NAMES.items()}


class Memory:
    """The file of one sandbox. Call `load` before it serves, `save` regularly and after it has stopped."""

    def __init__(self, box: Sandbox, path: Path) -> None:
        self._box = box
        self._path = path
        self._saved: object = None

    def load(self) -> None:
        """Restore the state and continue running tasks. An unreadable file is renamed, with a warning."""
        try:
            _restore(self._box, json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as problem:
            renamed = self._path.with_suffix(".unreadable")
            self._path.replace(renamed)
            print(
                f"sandbox: {self._path} cannot be read ({problem}); it is {renamed} now, and the sandbox starts empty.",
                file=sys.stderr,
            )
            return
        for task in list(self._box.state.tasks.values()):
            # Tasks whose end has passed meanwhile end immediately.
            if task.flag == GENERATING and task.kind != "upgrade-4k":
                endings.begin(self._box, task)
            upgrades.schedule_ends(self._box, task)

    def save(self) -> None:
        """Write the state to the file, if it changed since the last call."""
        state = self._box.state
        with state.lock:
            current = (state, self._box.log.latest, len(state.files))
            if current == self._saved:
                return
            text = json.dumps(_state_content(state), ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            # Callback URLs are secret, so only the owner may read the file.
            with open(draft, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
            draft.replace(self._path)
        except OSError as problem:
            # The sandbox continues without the file; the next call tries again.
            print(f"sandbox: cannot write {self._path} ({problem.strerror})", file=sys.stderr)
            return
        self._saved = current


def _state_content(state: ProviderState) -> Row:
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


def _restore(box: Sandbox, saved: Row) -> None:
    """Restore the state only after the whole file was parsed without an error."""
    if saved["version"] != VERSION:
        raise ValueError(f"version {saved['version']}")
    tasks: dict[str, Task] = {}
    for row in saved["tasks"]:
        tasks[row["id"]] = _read_task(row, tasks)
    files = {path: _read_file(row) for path, row in saved["files"].items()}
    balance, accepted = Decimal(saved["balance"]), int(saved["accepted"])
    prices = {item: Decimal(price) for item, price in saved["prices"].items()}
    # Sandbox time must not run backwards after a restart.
    box.clock.advance(max(0.0, float(saved["at"]) - box.clock.now()))
    box.state.set_prices(prices)
    box.state.balance, box.state.accepted = balance, accepted
    box.state.tasks.update(tasks)
    box.state.files.update(files)


def _read_task(row: Row, tasks: dict[str, Task]) -> Task:
    row = _renamed(row, _FIELDS)
    row |= {"price": Decimal(row["price"]), "parent": tasks.get(row["parent"]), "video": VideoSpec(**row["video"])}
    for name in ("upgrade_1080p", "upgrade_4k"):
        row[name] = Upgrade(**_renamed(row[name], _FIELDS)) if row[name] else None
    return Task(**row)


def _read_file(row: Row) -> StoredFile:
    row = _renamed(row, _FIELDS)
    return StoredFile(**row | {"video": VideoSpec(**row["video"])})
