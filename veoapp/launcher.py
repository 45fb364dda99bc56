"""Runs several programs in one terminal, prefixes their output, restarts them, and leaves no process behind.

Honcho, a library for this, is not used, because it stops everything when the worker ends once, cannot check whether a
program is ready, leaves programs running when it is killed, and does not end while a descendant in another session
keeps its output open.
"""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType

import psutil

STOP_WITHIN_S = 8.0
POLL_S = 0.1
HEALTH_CHECK_EVERY_S = 0.5
FIRST_RESTART_AFTER_S = 1.0
# A program that ends this many times in a row, each time within `STEADY_AFTER_S`, is not restarted again.
MAX_EXITS_IN_A_ROW = 5
STEADY_AFTER_S = 30.0

# Reads ids of process groups from its input. If the input ends without "done", the launcher was killed, and this script
# ends the groups.
CLEANUP_SCRIPT = """
groups=
while read -r line; do
    [ "$line" = done ] && exit 0
    groups="$groups $line"
done
for group in $groups; do kill -TERM "-$group"; done
sleep 5
for group in $groups; do kill -KILL "-$group"; done
"""


class PortTaken(Exception):
    """The port cannot be used: another program has it, or it needs administrator rights."""


@dataclass(frozen=True)
class Program:
    """A program to run. `is_ready` is called repeatedly until it returns True."""

    name: str
    command: list[str]
    is_ready: Callable[[], bool]
    colour: int  # the number of the terminal colour, such as 36 for cyan
    # If an essential program ends before it is ready, everything is stopped.
    is_essential: bool = False


@dataclass
class Child:
    """A program and its current process."""

    program: Program
    process: "subprocess.Popen[str]"
    started_at: float
    was_ready: bool = False
    exits_in_a_row: int = 0
    restart_at: float | None = None


@dataclass
class Launcher:
    """Runs programs until a signal arrives or one of them cannot run. `run` returns an exit code."""

    programs: list[Program]
    on_all_ready: Callable[[], None]
    is_colourful: bool = field(default_factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    _children: list[Child] = field(default_factory=list)
    _signal_count: int = 0
    _failed: bool = False
    _print_lock: threading.Lock = field(default_factory=threading.Lock)
    _cleanup_process: "subprocess.Popen[str] | None" = None

    def run(self) -> int:
        """Start, watch and stop the programs. Returns 0 after a signal, 1 when a program could not run."""
        previous_handlers = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        self._cleanup_process = subprocess.Popen(
            ["/bin/sh", "-c", CLEANUP_SCRIPT],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            self._children = [Child(program, self._start(program), time.monotonic()) for program in self.programs]
            self._watch()
        finally:
            self._stop()
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)
        return 1 if self._failed else 0

    def print_line(self, text: str) -> None:
        """Print one line, which is never mixed with a line of another thread."""
        with self._print_lock:
            print(text, flush=True)

    def _watch(self) -> None:
        is_announced, next_check_at = False, 0.0
        while not self._signal_count and not self._failed:
            now = time.monotonic()
            for child in self._children:
                self._check_child(child, now)
            if not is_announced and now >= next_check_at:
                next_check_at = now + HEALTH_CHECK_EVERY_S
                for child in self._children:
                    child.was_ready = child.was_ready or (child.restart_at is None and child.program.is_ready())
                if all(child.was_ready for child in self._children):
                    is_announced = True
                    self.on_all_ready()
            time.sleep(POLL_S)

    def _check_child(self, child: Child, now: float) -> None:
        name = child.program.name
        if child.restart_at is not None:
            if now >= child.restart_at:
                child.restart_at, child.started_at = None, now
                child.process = self._start(child.program)
            return
        code = child.process.poll()
        if code is None:
            return
        _kill_group(child.process.pid)
        if child.program.is_essential and not child.was_ready:
            self.print_line(
                f"{name} {_describe_exit(code)} before it was ready: the lines above say why. Stopping everything."
            )
            self._failed = True
            return
        child.exits_in_a_row = 1 if now - child.started_at >= STEADY_AFTER_S else child.exits_in_a_row + 1
        if child.exits_in_a_row >= MAX_EXITS_IN_A_ROW:
            self.print_line(
                f"{name} {_describe_exit(code)}, {child.exits_in_a_row} times in a row: the lines above say why. "
                "Stopping everything."
            )
            self._failed = True
            return
        wait_s = FIRST_RESTART_AFTER_S * 2 ** (child.exits_in_a_row - 1)
        self.print_line(f"{name} {_describe_exit(code)}; starting it again in {wait_s:.0f} s.")
        child.restart_at = now + wait_s

    def _start(self, program: Program) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C reaches only the launcher, which then stops all programs
        )
        threading.Thread(target=self._forward_output, args=[program, process.stdout], daemon=True).start()
        self._send_to_cleanup(str(process.pid))
        return process

    def _forward_output(self, program: Program, lines: Iterable[str]) -> None:
        width = max(len(other.name) for other in self.programs)
        prefix = f"{program.name:<{width}} |"
        if self.is_colourful:
            prefix = f"\033[{program.colour}m{prefix}\033[0m"
        for line in lines:
            self.print_line(f"{prefix} {line.rstrip()}")

    def _stop(self) -> None:
        """Terminate all programs, wait, and kill what remains, including their descendants."""
        running = [child.process for child in self._children if child.process.poll() is None]
        descendants = [descendant for process in running for descendant in _list_descendants(process.pid)]
        if running:
            self.print_line("Stopping ...")
        for process in running:
            process.terminate()
        count_before, deadline = self._signal_count, time.monotonic() + STOP_WITHIN_S
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline or self._signal_count > count_before:  # a second Ctrl-C
                break
            time.sleep(POLL_S)
        for process in running:
            _kill_group(process.pid)
            process.wait()
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._send_to_cleanup("done")
        if running:
            self.print_line("Stopped.")

    def _send_to_cleanup(self, line: str) -> None:
        if self._cleanup_process is not None and self._cleanup_process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._cleanup_process.stdin.write(f"{line}\n")
                self._cleanup_process.stdin.flush()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal_count += 1


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def require_free_port(port: int) -> None:
    """Raise PortTaken with the reason unless a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise PortTaken(f"port {port} needs administrator rights") from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(f"port {port} is taken by another program") from None
        except OverflowError:
            raise PortTaken(f"{port} is not a port") from None


def is_answering(port: int) -> bool:
    """Whether a server accepts connections on 127.0.0.1:`port`."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def find_free_port(port: int) -> int:
    """The first free port after `port`; 0 if there is none."""
    for candidate in range(port + 1, 65536):
        with contextlib.suppress(PortTaken):
            require_free_port(candidate)
            return candidate
    return 0


def _describe_exit(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _list_descendants(pid: int) -> list[psutil.Process]:
    """All descendants of a process. Call it before the process ends: afterwards those in other groups are not found."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
