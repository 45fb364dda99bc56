"""One running sandbox: its clock, log, state, fault orders, videos and callbacks, and how it is reset."""

import threading
from dataclasses import replace

from videos.sandbox.clock import Clock, Schedule
from videos.sandbox.event_log import EventLog
from videos.sandbox.faults.orders import FaultOrders
from videos.sandbox.options import Options, Settings
from videos.sandbox.pictures.video_files import VideoFiles
from videos.sandbox.state.provider_state import ProviderState
from videos.sandbox.wire.delivery import Delivery


class Sandbox:
    """Everything an endpoint needs; endpoints receive it as `box`. `address` is set once the server knows its port."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings: Settings = replace(options.settings)
        self.clock = Clock(speed=options.speed)
        self.log = EventLog(self.clock, path=options.truth)
        self.video_files = VideoFiles()
        self.stopping = threading.Event()
        self.address = ""
        self._begin()
        self.faults.replace(options.faults)

    def _begin(self) -> None:
        options = self.options
        self.schedule = Schedule(self.clock)
        self.state = ProviderState(clock=self.clock, log=self.log, balance=options.balance, seed=options.seed)
        self.faults = FaultOrders(seed=options.seed, on_strike=lambda **fields: self.log.append("fault", **fields))
        self.delivery = Delivery(log=self.log, schedule=self.schedule, settings=self.settings)

    @property
    def base_url(self) -> str:
        """The base of result URLs."""
        return self.settings.public_url or self.address

    def reset(self) -> None:
        """Return to the initial state at the same address: no tasks or faults, initial balance and settings, empty log."""
        self._end()
        self.settings = replace(self.options.settings)
        self.clock.set_speed(self.options.speed)
        self.log.clear()
        self._begin()

    def close(self) -> None:
        self.stopping.set()
        self._end()
        self.video_files.close()
        self.log.close()

    def _end(self) -> None:
        self.state.closed = True
        self.schedule.stop()
        self.delivery.stop()
