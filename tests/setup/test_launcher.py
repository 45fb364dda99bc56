"""The launcher of `make run`: line prefixes, restarts, and stopping every process."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.mail import free_port
from tests.services import ROOT
from veoapp.launcher import PortTaken, find_free_port, require_free_port

SCRIPT = """
import sys
from veoapp.launcher import Launcher, Program

programs = [
    Program(name, [sys.executable, "-c", code], lambda name=name: {ready}, 36, is_essential=name == "web")
    for name, code in {codes!r}.items()
]
launcher = Launcher(programs, on_all_ready=lambda: launcher.print_line("ALL READY"))
sys.exit(launcher.run())
"""
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
IGNORES_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
WITH_CHILD = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True); "
    "print('child', child.pid, flush=True); time.sleep(60)"
)


class Terminal:
    """A launcher in a separate process, and its output."""

    def __init__(self, codes: dict[str, str], output: Path, ready: str) -> None:
        self.output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT.format(codes=codes, ready=ready)],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str, within_s: float = 15) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.text():
            assert time.monotonic() < deadline, f"{text!r} not in:\n{self.text()}"
            time.sleep(0.05)

    def list_descendants(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.Process(self.process.pid).children(recursive=True)
            if "-c" in process.cmdline()
        ]


Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Terminal] = []

    def start_terminal(ready: str = "True", **codes: str) -> Terminal:
        terminal = Terminal(codes, tmp_path / f"{len(started)}.txt", ready)
        started.append(terminal)
        return terminal

    yield start_terminal
    for terminal in started:
        if terminal.process.poll() is None:
            terminal.process.terminate()
            terminal.process.wait(20)


def have_ended(processes: list[psutil.Process], within_s: float) -> bool:
    return not psutil.wait_procs(processes, timeout=within_s)[1]


def test_lines_begin_with_the_name_of_their_program(start: Start) -> None:
    terminal = start(web=SLEEP, worker=SLEEP)
    terminal.wait_for("web    | up\n")
    terminal.wait_for("worker | up\n")
    terminal.wait_for("ALL READY\n")


def test_ctrl_c_stops_everything_within_seconds(start: Start) -> None:
    terminal = start(web=WITH_CHILD, worker=SLEEP)
    terminal.wait_for("child")
    terminal.wait_for("worker | up")
    processes = terminal.list_descendants()
    assert len(processes) >= 3
    start_time = time.monotonic()
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(10) == 0
    assert time.monotonic() - start_time < 5
    assert have_ended(processes, 2)
    assert terminal.text().endswith("Stopping ...\nStopped.\n")


def test_a_second_ctrl_c_kills_programs_that_ignore_sigterm(start: Start) -> None:
    terminal = start(web=IGNORES_SIGTERM)
    terminal.wait_for("web | up")
    processes = terminal.list_descendants()
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("Stopping")
    start_time = time.monotonic()
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.wait(10)
    assert time.monotonic() - start_time < 3
    assert have_ended(processes, 2)


def test_no_program_outlives_a_killed_launcher(start: Start) -> None:
    terminal = start(web=SLEEP, worker=SLEEP)
    terminal.wait_for("ALL READY")
    processes = terminal.list_descendants()
    terminal.process.kill()
    terminal.process.wait(5)
    assert have_ended(processes, 15)


def test_a_killed_worker_is_restarted(start: Start, tmp_path: Path) -> None:
    dies_once = f"import os, pathlib, signal, time; p = pathlib.Path({str(tmp_path / 'died')!r}); "
    dies_once += "again = p.exists(); p.touch(); print('again' if again else 'first', flush=True); "
    dies_once += "time.sleep(60) if again else os.kill(os.getpid(), signal.SIGKILL)"
    terminal = start(web=SLEEP, worker=dies_once)
    terminal.wait_for("worker was killed by SIGKILL; starting it again in 1 s.")
    terminal.wait_for("worker | again")


def test_a_web_server_that_cannot_start_stops_everything(start: Start) -> None:
    terminal = start(ready="name != 'web'", web="import sys; print('no database'); sys.exit(3)", worker=SLEEP)
    assert terminal.process.wait(15) == 1
    assert "web    | no database\n" in terminal.text()
    assert "web ended with exit code 3 before it was ready: the lines above say why." in terminal.text()


def test_a_taken_port_is_reported_before_anything_starts() -> None:
    port = free_port()
    require_free_port(port)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        with pytest.raises(PortTaken, match=f"port {port} is taken"):
            require_free_port(port)
        assert find_free_port(port) > port
    with pytest.raises(PortTaken, match="is not a port"):
        require_free_port(70_000)


def test_a_privileged_port_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortTaken, match="port 80 needs administrator rights"):
        require_free_port(80)
