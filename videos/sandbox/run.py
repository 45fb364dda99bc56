"""Starts a sandbox, prints its address, and stops it cleanly on Ctrl-C, SIGTERM or the end of standard input."""

import argparse
import signal
import sys
import threading
import time

from videos.sandbox.faults.catalogue import listing
from videos.sandbox.memory import Memory
from videos.sandbox.options import Options, read_options
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.server import Server

# Changes since the last save are lost if the process is killed.
SAVE_EVERY_S = 1.0


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; returns the exit code."""
    if arguments.list_faults:
        print(listing())
        return 0
    options = read_options(arguments)
    box = Sandbox(options)
    try:
        server = Server(box)
    except OSError as error:
        box.close()
        print(
            f"sandbox: cannot listen on {options.host}:{options.port} ({error.strerror}). "
            "Is another one running? --port 0 takes a free port.",
            file=sys.stderr,
        )
        return 1
    memory = Memory(box, options.memory) if options.memory else None
    if memory:
        memory.load()
    # A list and a short sleep instead of an Event or a queue: a signal handler could wait for a lock that its own thread
    # holds, and a signal that is delivered to another thread does not wake the main thread.
    stop_requests: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stop_requests.append(number))
    if options.until_eof:
        threading.Thread(target=lambda: stop_requests.append(len(sys.stdin.read())), daemon=True).start()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(_greeting(box, options), flush=True)
    saved_at = time.monotonic()
    while not stop_requests:
        time.sleep(0.1)
        if memory and time.monotonic() - saved_at > SAVE_EVERY_S:
            memory.save()
            saved_at = time.monotonic()
    box.stopping.set()
    server.shutdown()
    server.server_close()
    box.close()
    if memory:
        memory.save()
    return 0


def _greeting(box: Sandbox, options: Options) -> str:
    key = "key: sandbox" if box.settings.api_key == "sandbox" else "with your key"
    faults = ", ".join(map(str, options.faults)) or "none"
    return (
        f"sandbox: {box.address} plays kie.ai ({key}, {box.state.balance:f} credits, speed {options.speed:g}, faults: {faults}). "
        "Videos are drawn on this machine, nothing is paid, nobody is called. Ctrl-C stops it."
    )
