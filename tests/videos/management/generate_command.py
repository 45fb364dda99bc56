"""`manage.py generate` run in this process, for tests."""

import io

from django.core.management import call_command

PROMPT = "A lighthouse at dusk, waves, slow dolly in"


class CommandResult:
    """Exit code and output of a run."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def generate(*arguments: str, out: io.StringIO | None = None) -> CommandResult:
    """Run the command in this process."""
    out, err = out or io.StringIO(), io.StringIO()
    try:
        call_command("generate", *arguments, stdout=out, stderr=err)
    except SystemExit as stop:
        return CommandResult(int(stop.code or 0), out.getvalue(), err.getvalue())
    return CommandResult(0, out.getvalue(), err.getvalue())
