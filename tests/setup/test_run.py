"""`manage.py run` before it starts anything: ports, database, the demo account."""

import io
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command
from pytest_django import Settings

from accounts.models import User
from billing.credits import ledger
from tests.mail import free_port
from tests.services import ROOT
from veoapp import demo
from veoapp.launcher import Program
from veoapp.management.commands import run as run_command


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBUG": "true", "KIE_AI_API_KEY": "", "KIE_AI_BASE_URL": "", **variables}
    command = [sys.executable, "manage.py", "run"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def debug(settings: Settings, tmp_path: Path) -> None:
    settings.DEBUG = True
    settings.VAR_DIR = tmp_path / "var"


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_reported_and_a_free_one_suggested(name: str) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        free_ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        result = run(**{**free_ports, name: str(port)})
    assert result.returncode == 1
    assert result.stderr.startswith(f"CommandError: Port {port} is taken by another program")
    assert f"`make run {name}=" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_two_servers_cannot_share_a_port() -> None:
    port = str(free_port())
    assert "PORT and SANDBOX_PORT are the same" in run(PORT=port, SANDBOX_PORT=port).stderr


def test_an_unavailable_database_is_reported_in_one_sentence() -> None:
    url = "postgres://veoapp@/veoapp?host=/no/such/place"
    result = run(DATABASE_URL=url, PORT=str(free_port()), SANDBOX_PORT=str(free_port()))
    assert result.returncode == 1
    assert "start it, or correct DATABASE_URL in .env." in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.django_db(transaction=True)  # the command closes its connections before it starts programs
@pytest.mark.parametrize(("options", "names"), [([], ["web", "worker"]), (["--no-worker"], ["web"])])
def test_the_worker_can_be_left_out_to_run_it_elsewhere(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, options: list[str], names: list[str]
) -> None:
    started: list[str] = []

    class FakeLauncher:
        def __init__(self, programs: list[Program], on_all_ready: object) -> None:
            started.extend(program.name for program in programs)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(run_command, "Launcher", FakeLauncher)
    monkeypatch.setattr(run_command.Command, "_prepare", lambda self: None)
    settings.PORT, settings.SANDBOX_PORT = free_port(), free_port()
    call_command("run", *options, stdout=io.StringIO())
    assert started == names


@pytest.mark.django_db
def test_the_demo_account_is_an_operator_with_credits_and_a_random_password(debug: None, settings: Settings) -> None:
    account = demo.ensure_demo_account()
    user = User.objects.get(email="demo@example.com")
    assert (user.is_staff, user.is_superuser, user.is_active) == (True, True, True)
    assert EmailAddress.objects.get(user=user).verified
    assert account.password is not None
    assert user.check_password(account.password)
    assert len(account.password) >= 14
    assert stat.S_IMODE((settings.VAR_DIR / "demo-password").stat().st_mode) == 0o600
    assert ledger.balance_of(user) == 1000
    assert [entry.amount for entry in ledger.statement(user)] == [1000]


@pytest.mark.django_db
def test_a_second_start_changes_nothing_about_the_demo_account(debug: None) -> None:
    first, second = demo.ensure_demo_account(), demo.ensure_demo_account()
    assert first == second
    assert ledger.balance_of(first.user) == 1000
    first.user.set_password("a password of my own")
    first.user.save()
    assert demo.ensure_demo_account().password is None


@pytest.mark.django_db
def test_production_has_no_default_account(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(RuntimeError):
        demo.ensure_demo_account()
    assert User.objects.count() == 0
