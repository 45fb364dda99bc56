"""One host of kie.ai: sends a question once and brings back its envelope, or says what the network's trouble means."""

from collections.abc import Mapping

from videos.providers import errors
from videos.providers.http import exchange
from videos.providers.kie.codes import Call
from videos.providers.kie.replies import Envelope, open_envelope


class Wire:
    """A base URL, the key and the limits that hold there."""

    def __init__(self, base_url: str, *, auth: exchange.Bearer, limits: exchange.Limits) -> None:
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._limits = limits

    def ask(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        secret: str = "",
    ) -> Envelope:
        """The envelope of the answer, whatever it says; `secret` and the key are hidden should it echo them.

        Raises NotSent or Unconfirmed for a paid call, NoAnswer for a free one.
        """
        try:
            answer = exchange.call(
                method,
                self._base_url + path,
                auth=self._auth,
                params=params,
                json=json,
                form=form,
                files=files,
                limits=self._limits,
            )
        except exchange.Undelivered as trouble:
            raise (errors.NotSent if call.is_paid else errors.NoAnswer)(str(trouble)) from None
        except exchange.AnswerLost as trouble:
            raise (errors.Unconfirmed if call.is_paid else errors.NoAnswer)(str(trouble)) from None

        def scrub(text: str) -> str:
            return self._auth.scrub(text.replace(secret, "[callback]") if secret else text)

        return open_envelope(answer, scrub=scrub)
