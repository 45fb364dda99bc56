"""`manage.py run` (called by `make run`) starts the whole product in one terminal."""

import http.client
import sys
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

from accounts.seams import clock
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider import encryption
from billing.provider import keys as provider_keys
from veoapp import demo
from veoapp.environment import save_ports
from veoapp.launcher import Launcher, PortTaken, Program, find_free_port, is_answering, require_free_port
from videos.models import JobRequest

CYAN, MAGENTA, YELLOW = 36, 35, 33


class Command(BaseCommand):
    help = "Start web, worker and, without a provider key, the sandbox in this terminal. Ctrl-C stops everything."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-worker", action="store_true", help="start no worker: you run one yourself, to debug it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._require_ports()
        save_ports(settings.PORTS_FILE, port=settings.PORT, sandbox_port=settings.SANDBOX_PORT)
        try:
            self._prepare()
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                _("The database cannot be used (%(reason)s): start it, or correct DATABASE_URL in .env.")
                % {"reason": reason}
            ) from None
        except encryption.EncryptionError as error:
            raise CommandError(str(error)) from None
        started_at = clock.database_now()
        connections.close_all()
        programs = [Program("web", _build_web_command(), _is_web_ready, CYAN, is_essential=True)]
        if not options["no_worker"]:
            programs.append(
                Program("worker", _build_manage_command("worker"), lambda: _is_worker_ready(since=started_at), MAGENTA)
            )
        if _runs_sandbox():
            command = _build_manage_command("sandbox", "--port", str(settings.SANDBOX_PORT), *_build_sandbox_options())
            programs.append(Program("sandbox", command, lambda: is_answering(settings.SANDBOX_PORT), YELLOW))
        self.stdout.write(_("Starting: %(names)s ...") % {"names": ", ".join(program.name for program in programs)})
        self.stdout.flush()
        launcher = Launcher(programs, on_all_ready=lambda: launcher.print_line(self.welcome))
        code = launcher.run()
        if code:
            sys.exit(code)

    def _require_ports(self) -> None:
        """Refuse ports that are taken, before anything starts.

        The sandbox's port is checked even if a saved key makes the sandbox unnecessary, because reading it needs tables.
        """
        ports = {"PORT": settings.PORT}
        if settings.SANDBOX_ALLOWED and _get_local_sandbox_url() == settings.SANDBOX_URL:
            ports["SANDBOX_PORT"] = settings.SANDBOX_PORT
        if len(set(ports.values())) < len(ports):
            raise CommandError(_("PORT and SANDBOX_PORT are the same: change one of them."))
        for name, port in ports.items():
            try:
                require_free_port(port)
            except PortTaken as error:
                advice = f"make run {name}={find_free_port(port if port < 65536 else 8000)}"
                text = _("%(what)s (veoapp may already be running): stop it, or use another port with `%(advice)s`.")
                raise CommandError(text % {"what": str(error).capitalize(), "advice": advice}) from None

    def _prepare(self) -> None:
        self.check()
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        provider_keys.require_readable_keys()
        lines = [_("veoapp is running:  %(url)s") % {"url": f"{settings.APP_URL}/"}]
        if settings.DEBUG:
            account = demo.ensure_demo_account()
            password = account.password or _("(the password you set)")
            lines.append(_("Sign in as          %(email)s  %(password)s") % {"email": demo.EMAIL, "password": password})
        else:
            call_command("collectstatic", verbosity=0, interactive=False)
        lines += _describe_missing_services()
        lines.append(_("Ctrl-C stops everything."))
        self.welcome = "\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def _describe_missing_services() -> list[str]:
    """Return the lines of the welcome text that say what replaces a missing provider key or mail server."""
    lines = []
    try:
        if _runs_sandbox():
            lines.append(_("No provider key:    the sandbox makes the videos; nothing is charged."))
        elif provider_accounts.get_current_account().source == ProviderAccount.Source.SANDBOX:
            lines.append(_("No provider key:    the sandbox at %(url)s is used.") % {"url": settings.SANDBOX_URL})
    except provider_accounts.NoProviderKey:
        lines.append(_("No provider key:    videos wait until you add one in the admin, or KIE_AI_API_KEY."))
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        lines.append(_("No mail server:     e-mails are printed here."))
    return lines


def _get_local_sandbox_url() -> str:
    return f"http://127.0.0.1:{settings.SANDBOX_PORT}"


def _runs_sandbox() -> bool:
    """Whether this command starts a sandbox: videos go to a sandbox, and SANDBOX_URL is not that of another one."""
    try:
        account = provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return False
    return account.source == ProviderAccount.Source.SANDBOX and _get_local_sandbox_url() == settings.SANDBOX_URL


def _build_sandbox_options() -> list[str]:
    # The sandbox must charge or refund failures as the settings say; otherwise reconciliation would report missing credits.
    charge_policy = "charged" if settings.CHARGED_WHEN_FAILED else "refunded"
    options = ["--api-key", provider_accounts.SANDBOX_KEY, "--failed-tasks", charge_policy]
    # The sandbox must remember its tasks after a restart, as the database does.
    options += ["--memory", str(settings.VAR_DIR / "sandbox.json")]
    if settings.KIE_AI_WEBHOOK_HMAC_KEY:
        options += ["--hmac-key", settings.KIE_AI_WEBHOOK_HMAC_KEY]
    return options


def _build_manage_command(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def _build_web_command() -> list[str]:
    # No access log, because its lines would contain the secret tokens of callback addresses.
    return [
        *(sys.executable, "-m", "gunicorn", "veoapp.wsgi", "--chdir", str(settings.BASE_DIR)),
        *("--bind", f"127.0.0.1:{settings.PORT}", "--worker-class", "gthread", "--workers", "2", "--threads", "8"),
        *("--graceful-timeout", "3", "--log-level", "warning"),
    ]


def _is_web_ready() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.APP_URL).netloc})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_worker_ready(*, since: datetime) -> bool:
    """Whether the worker has run a canary job since then: a job that does nothing but prove that jobs are run."""
    try:
        return JobRequest.objects.filter(name="canary", started_at__gte=since).exists()
    except DatabaseError:
        return False
    finally:
        connections.close_all()
