"""kie.ai's Veo 3.1, one method per remote call; the vendor's pages: https://docs.kie.ai/veo3-api/quickstart.

Each method sends one request once and either returns an answer in the words of `base` or raises one of `errors`.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal

from videos.providers import errors
from videos.providers.base import Report, ReportState, UpscaleReport, VideoRequest
from videos.providers.http import exchange
from videos.providers.kie.callback import parse_callback, sign_callback, verify_signature
from videos.providers.kie.codes import Call, error_for, meaning_of
from videos.providers.kie.replies import Envelope, cost_of, read_record, result_urls
from videos.providers.kie.values import Oddities, amount, first, mapping, task_id, url_list
from videos.providers.kie.wire import Wire

__all__ = ["EXTEND_MODELS", "Kie", "parse_callback", "sign_callback", "verify_signature"]

# Extend has its own names for the models of generate.
EXTEND_MODELS = {"veo3": "quality", "veo3_fast": "fast", "veo3_lite": "lite"}

_NOT_READY = re.compile(
    r"processing|not ready|check back|shortly|being generated|please try again later", re.IGNORECASE
)
_BASE64_LIMIT_BYTES = 10_000_000  # above this the vendor advises the stream upload
_UPLOAD_LIMITS = exchange.Limits(read_s=120.0, total_s=300.0)


class Kie:
    """A `base.Provider`: one account at kie.ai. Safe to share between threads; keeps no connection and no state."""

    name = "kie"

    def __init__(
        self,
        api_key: str,
        base_url: str,
        upload_base_url: str,
        *,
        limits: exchange.Limits | None = None,
        upload_limits: exchange.Limits | None = None,
    ) -> None:
        self._auth = exchange.Bearer(api_key)
        self._api = Wire(base_url, auth=self._auth, limits=limits or exchange.Limits())
        self._uploads = Wire(upload_base_url, auth=self._auth, limits=upload_limits or _UPLOAD_LIMITS)

    # Paid: at most one task each; raise NotSent and its children, Refused, Unconfirmed.

    def submit(self, request: VideoRequest) -> str:
        """POST generate: the id of the new task."""
        body: dict[str, object] = {
            "prompt": request.prompt,
            "model": request.model,
            "generationType": request.generation_type.value,
            "aspect_ratio": request.aspect_ratio,
            "resolution": request.resolution,
            "duration": request.duration_s,
            "enableTranslation": request.enable_translation,
        }
        if request.image_urls:
            body["imageUrls"] = list(request.image_urls)
        _add_options(body, seed=request.seed, watermark=request.watermark, callback_url=request.callback_url)
        return self._new_task(Call.GENERATE, "/api/v1/veo/generate", body, callback_url=request.callback_url)

    def extend(
        self,
        provider_task_id: str,
        *,
        prompt: str,
        model: str = "fast",
        seed: int | None = None,
        watermark: str = "",
        callback_url: str = "",
    ) -> str:
        """POST extend: the id of the new task that continues a finished one. `model` is generate's name or extend's."""
        body: dict[str, object] = {
            "taskId": _known_id(provider_task_id),
            "prompt": prompt,
            "model": EXTEND_MODELS.get(model, model),
        }
        _add_options(body, seed=seed, watermark=watermark, callback_url=callback_url)
        return self._new_task(Call.DERIVE, "/api/v1/veo/extend", body, callback_url=callback_url)

    def upscale_1080p(self, provider_task_id: str, *, index: int = 0) -> UpscaleReport:
        """GET get-1080p-video: orders it the first time, then tells whether it is ready (one to three minutes)."""
        params = {"taskId": _known_id(provider_task_id), "index": str(index)}
        return _upscaled(self._api.ask(Call.DERIVE, "GET", "/api/v1/veo/get-1080p-video", params=params))

    def upscale_4k(self, provider_task_id: str, *, index: int = 0, callback_url: str = "") -> UpscaleReport:
        """POST get-4k-video: orders it the first time, then tells whether it is ready (five to ten minutes)."""
        body: dict[str, object] = {"taskId": _known_id(provider_task_id), "index": index}
        _add_options(body, callback_url=callback_url)
        return _upscaled(self._api.ask(Call.DERIVE, "POST", "/api/v1/veo/get-4k-video", json=body, secret=callback_url))

    # Free: raise NoAnswer and its child, OutOfCredits, AccessDenied.

    def report(self, provider_task_id: str) -> Report:
        """GET record-info: what the provider says of a task of this account (within 14 days)."""
        if not task_id(provider_task_id):
            raise errors.NotVisible("not a task id")
        envelope = self._api.ask(Call.RECORD, "GET", "/api/v1/veo/record-info", params={"taskId": provider_task_id})
        if meaning_of(envelope) != 200:
            error = error_for(envelope, call=Call.RECORD)
            told = read_record(envelope, asked=provider_task_id, scrub=self._auth.scrub)
            if isinstance(error, errors.NoAnswer) and envelope.status < 300 and told.state is not ReportState.UNCLEAR:
                return told  # an error's code around a task's verdict: the verdict holds
            raise error
        if envelope.data is None:
            raise errors.NotVisible("the record is null", status=envelope.status, provider_code=envelope.code)
        if not isinstance(envelope.data, dict):
            raise _unusable(envelope, "the record is not an object")
        return read_record(envelope, asked=provider_task_id, scrub=self._auth.scrub)

    def balance(self) -> Decimal:
        """GET chat/credit: the provider credits left, to four places; below zero is a debt."""
        envelope = _accepted(self._api.ask(Call.FREE, "GET", "/api/v1/chat/credit"))
        credits_left = amount(envelope.data, negative=True)
        if credits_left is None:
            raise _unusable(envelope, "the balance is not a number")
        return credits_left

    def fresh_url(self, url: str) -> str:
        """POST common/download-url: a signed link to a result, good for 20 minutes, even when the plain one died."""
        envelope = _accepted(self._api.ask(Call.FREE, "POST", "/api/v1/common/download-url", json={"url": url}))
        links = url_list(envelope.data, Oddities())
        if not links:
            raise _unusable(envelope, "no link in the answer")
        return links[0]

    def upload(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """Put a file where the provider can fetch it, for about a day; its URL. The size says which upload."""
        send = self.upload_base64 if len(content) <= _BASE64_LIMIT_BYTES else self.upload_stream
        return send(content, file_name=file_name, mime_type=mime_type)

    def upload_base64(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """POST file-base64-upload: the file's URL."""
        data_url = f"data:{mime_type};base64,{base64.b64encode(content).decode('ascii')}"
        return self._uploaded("/api/file-base64-upload", json={"base64Data": data_url, **_place(content, file_name)})

    def upload_stream(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """POST file-stream-upload (multipart): the file's URL."""
        place = _place(content, file_name)
        files = {"file": (place["fileName"], content, mime_type)}
        return self._uploaded("/api/file-stream-upload", form=place, files=files)

    def upload_url(self, url: str, *, file_name: str) -> str:
        """POST file-url-upload: the provider fetches a public file (30 s, about 100 MB); the copy's URL."""
        return self._uploaded("/api/file-url-upload", json={"fileUrl": url, **_place(url.encode(), file_name)})

    def _new_task(self, call: Call, path: str, body: Mapping[str, object], *, callback_url: str) -> str:
        envelope = self._api.ask(call, "POST", path, json=body, secret=callback_url)
        named = envelope.new_task_id()
        if meaning_of(envelope) == 200:
            words = f"{envelope.describe()}; no usable task id"
            error: errors.ProviderError = errors.Unconfirmed(words, status=envelope.status, provider_code=envelope.code)
        else:
            error = error_for(envelope, call=call)
        if named and isinstance(error, errors.Unconfirmed):
            # Whatever else the answer says, the task that it names exists; record-info tells what became of it.
            return named
        raise error

    def _uploaded(
        self,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> str:
        envelope = _accepted(self._uploads.ask(Call.FREE, "POST", path, json=json, form=form, files=files))
        data = mapping(envelope.data)
        links = url_list(first(data.get("downloadUrl"), data.get("fileUrl")), Oddities())
        if not links or envelope.root.get("success") is False or data.get("success") is False:
            raise _unusable(envelope, "the upload brought no URL")
        return links[0]


def _accepted(envelope: Envelope) -> Envelope:
    """The answer to a free call, if it is one. Raises NoAnswer, OutOfCredits, AccessDenied."""
    if meaning_of(envelope) != 200:
        raise error_for(envelope, call=Call.FREE)
    return envelope


def _upscaled(envelope: Envelope) -> UpscaleReport:
    """Ready, not ready, or an error: the URL decides, then the words, then the code."""
    code = meaning_of(envelope)
    data = mapping(envelope.data)
    oddities = Oddities()
    # 1080p says `resultUrl` (a text), 4K `resultUrls`; the other places are where other clients have looked.
    urls = url_list(data.get("resultUrl"), Oddities()) or url_list(data.get("resultUrls"), oddities)
    urls = urls or result_urls(data, oddities) or url_list(data.get("url"), oddities)
    is_waiting = code in (400, 422) and _NOT_READY.search(envelope.message)
    # 4K says 422 "has been generated successfully" with the URLs in it, so 422 is no error when it has any.
    if code != 200 and not is_waiting and not (urls and code == 422):
        raise error_for(envelope, call=Call.DERIVE)
    return UpscaleReport(
        ready=bool(urls),
        url=urls[0] if urls else "",
        provider_task_id=envelope.new_task_id(),
        provider_credits=cost_of(data, oddities),
        message=envelope.message,
        oddities=oddities.words(),
    )


def _known_id(provider_task_id: str) -> str:
    """The id, if it can be one; asking a paid question about nonsense is refused before it leaves."""
    if not task_id(provider_task_id):
        raise errors.Refused("not a task id", reason="invalid")
    return provider_task_id


def _add_options(
    body: dict[str, object], *, seed: int | None = None, watermark: str = "", callback_url: str = ""
) -> None:
    if seed is not None:
        body["seeds"] = seed
    if watermark:
        body["watermark"] = watermark
    if callback_url:
        body["callBackUrl"] = callback_url


def _place(content: bytes, file_name: str) -> dict[str, str]:
    """Where an upload goes. A folder per content: an equal name is overwritten, and caches keep the old file."""
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "-", file_name).strip("-.")[-80:] or "file"
    return {"uploadPath": f"veoapp/{hashlib.sha256(content).hexdigest()[:32]}", "fileName": safe_name}


def _unusable(envelope: Envelope, words: str) -> errors.NoAnswer:
    return errors.NoAnswer(f"{envelope.describe()}; {words}", status=envelope.status, provider_code=envelope.code)
