"""Sends calls to one host of kie.ai, each once.

A reply becomes an `Envelope` (its JSON object and HTTP status); a lost or impossible exchange raises an error.
"""

from collections.abc import Mapping

from videos.providers import errors
from videos.providers.http import exchange
from videos.providers.kie.codes import Call
from videos.providers.kie.replies import Envelope, parse_envelope


class ApiHost:
    """One host of kie.ai: its base URL, our API key, and the time and size limits of a call."""

    def __init__(self, base_url: str, *, auth: exchange.Bearer, limits: exchange.Limits) -> None:
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._limits = limits

    def send(
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
        """The envelope of the response, also of an error response; `secret` and the key are masked if it repeats them.

        Raises NotSent or Unconfirmed for a paid call, NoAnswer for a free one.
        """
        try:
            response = exchange.call(
                method,
                self._base_url + path,
                auth=self._auth,
                params=params,
                json=json,
                form=form,
                files=files,
                limits=self._limits,
            )
        except exchange.Undelivered as error:
            raise (errors.NotSent if call.is_paid else errors.NoAnswer)(str(error)) from None
        except exchange.ResponseLost as error:
            raise (errors.Unconfirmed if call.is_paid else errors.NoAnswer)(str(error)) from None

        def scrub(text: str) -> str:
            return self._auth.scrub(text.replace(secret, "[callback]") if secret else text)

        return parse_envelope(response, scrub=scrub)
