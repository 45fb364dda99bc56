"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Starts at noon of 1 September 2026, UTC. `sleep` advances it and returns immediately."""

    def __init__(self) -> None:
        self.at = datetime(2026, 9, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
