"""One running sandbox: its clock, log, world, fault orders, films and courier, and what a reset puts back."""

import threading
from dataclasses import replace

from videos.sandbox.clock import Agenda, Clock
from videos.sandbox.courier import Courier
from videos.sandbox.faults import Faultbook
from videos.sandbox.options import Options, Settings
from videos.sandbox.pictures.video_files import VideoFiles
from videos.sandbox.truth import Truth
from videos.sandbox.world import World


class Sandbox:
    """Everything an endpoint needs. `base_url` is set once the server knows its port."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings: Settings = replace(options.settings)
        self.clock = Clock(speed=options.speed)
        self.truth = Truth(self.clock, path=options.truth)
        self.video_files = VideoFiles()
        self.stopping = threading.Event()
        self.address = ""
        self._begin()
        self.book.replace(options.orders)

    def _begin(self) -> None:
        self.agenda = Agenda(self.clock)
        self.world = World(clock=self.clock, truth=self.truth, balance=self.options.balance, seed=self.options.seed)
        self.book = Faultbook(seed=self.options.seed, struck=self._log_strike)
        self.courier = Courier(truth=self.truth, agenda=self.agenda, settings=self.settings, stopping=self.stopping)

    def _log_strike(self, *, order: str, key: str) -> None:
        self.truth.append("fault", order=order, key=key)

    @property
    def base_url(self) -> str:
        """Where result addresses begin."""
        return self.settings.public_url or self.address

    @property
    def quick(self) -> bool:
        return self.settings.film == "quick"

    def reset(self) -> None:
        """A fresh provider on the same address: no tasks, no faults, the first balance and settings, an empty log."""
        self.world.over = True
        self.agenda.stop()
        self.courier.stop()
        self.settings = replace(self.options.settings)
        self.clock.set_speed(self.options.speed)
        self.truth.forget()
        self._begin()

    def close(self) -> None:
        self.stopping.set()
        self.world.over = True
        self.agenda.stop()
        self.courier.stop()
        self.video_files.close()
        self.truth.close()
