"""The client of kie.ai's Veo 3.1 API, one method per call; documented at https://docs.kie.ai/veo3-api/quickstart.

Each method sends one request once and returns a type of `base` or raises one of `errors`.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal

from videos.providers import errors
from videos.providers.base import Report, ReportState, UpscaleReport, VideoRequest
from videos.providers.http import exchange
from videos.providers.kie.api_host import ApiHost
from videos.providers.kie.callback import parse_callback, sign_callback, verify_signature
from videos.providers.kie.codes import Call, effective_code, make_error
from videos.providers.kie.replies import Envelope, read_cost, read_record, read_result_urls
from videos.providers.kie.values import Oddities, as_mapping, first_present, read_credits, read_task_id, read_urls

__all__ = ["EXTEND_MODELS", "Kie", "parse_callback", "sign_callback", "verify_signature"]

# The extend endpoint has its own model names.
EXTEND_MODELS = {"veo3": "quality", "veo3_fast": "fast", "veo3_lite": "lite"}

_NOT_READY = re.compile(
    r"processing|not ready|check back|shortly|being generated|please try again later", re.IGNORECASE
)
_BASE64_LIMIT_BYTES = 10_000_000  # for larger files kie.ai recommends the stream upload
_UPLOAD_LIMITS = exchange.Limits(read_s=120.0, total_s=300.0)


class Kie:
    """A `base.Provider` for one account at kie.ai. It keeps no state between calls, so threads may share it."""

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
        self._api = ApiHost(base_url, auth=self._auth, limits=limits or exchange.Limits())
        self._uploads = ApiHost(upload_base_url, auth=self._auth, limits=upload_limits or _UPLOAD_LIMITS)

    # Paid calls: each creates at most one task, and raises only NotSent (or a subclass), Refused or Unconfirmed.

    def submit(self, request: VideoRequest) -> str:
        """POST generate; returns the id of the new task."""
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
        return self._create_task(Call.GENERATE, "/api/v1/veo/generate", body, callback_url=request.callback_url)

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
        """POST extend; returns the id of a new task that continues a finished one.

        `model` is a model name of the generate endpoint or of the extend endpoint.
        """
        body: dict[str, object] = {
            "taskId": _check_task_id(provider_task_id),
            "prompt": prompt,
            "model": EXTEND_MODELS.get(model, model),
        }
        _add_options(body, seed=seed, watermark=watermark, callback_url=callback_url)
        return self._create_task(Call.DERIVE, "/api/v1/veo/extend", body, callback_url=callback_url)

    def upscale_1080p(self, provider_task_id: str, *, index: int = 0) -> UpscaleReport:
        """GET get-1080p-video: the first call starts the upscale (1 to 3 minutes), later calls ask if it is ready."""
        params = {"taskId": _check_task_id(provider_task_id), "index": str(index)}
        return _read_upscale(self._api.send(Call.DERIVE, "GET", "/api/v1/veo/get-1080p-video", params=params))

    def upscale_4k(self, provider_task_id: str, *, index: int = 0, callback_url: str = "") -> UpscaleReport:
        """POST get-4k-video: the first call starts the upscale (5 to 10 minutes), later calls ask if it is ready."""
        body: dict[str, object] = {"taskId": _check_task_id(provider_task_id), "index": index}
        _add_options(body, callback_url=callback_url)
        return _read_upscale(
            self._api.send(Call.DERIVE, "POST", "/api/v1/veo/get-4k-video", json=body, secret=callback_url)
        )

    # Free calls: each raises only NoAnswer (or its subclass NotVisible), OutOfCredits or AccessDenied.

    def report(self, provider_task_id: str) -> Report:
        """GET record-info: the record of a task of this account (kept for 14 days)."""
        if not read_task_id(provider_task_id):
            raise errors.NotVisible("not a task id")
        envelope = self._api.send(Call.RECORD, "GET", "/api/v1/veo/record-info", params={"taskId": provider_task_id})
        if effective_code(envelope) != 200:
            error = make_error(envelope, call=Call.RECORD)
            report = read_record(envelope, requested_id=provider_task_id, scrub=self._auth.scrub)
            if isinstance(error, errors.NoAnswer) and envelope.status < 300 and report.state is not ReportState.UNCLEAR:
                return report  # the record shows a final state, which counts more than an error code in the envelope
            raise error
        if envelope.data is None:
            raise errors.NotVisible("the record is null", status=envelope.status, provider_code=envelope.code)
        if not isinstance(envelope.data, dict):
            raise _unusable_response(envelope, "the record is not an object")
        return read_record(envelope, requested_id=provider_task_id, scrub=self._auth.scrub)

    def balance(self) -> Decimal:
        """GET chat/credit: the provider credits left, with four decimal places; negative if the account is in debt."""
        envelope = _check_free(self._api.send(Call.FREE, "GET", "/api/v1/chat/credit"))
        credits_left = read_credits(envelope.data, negative=True)
        if credits_left is None:
            raise _unusable_response(envelope, "the balance is not a number")
        return credits_left

    def fresh_url(self, url: str) -> str:
        """POST common/download-url: a signed link to a result, valid for 20 minutes, even if the plain URL has expired."""
        envelope = _check_free(self._api.send(Call.FREE, "POST", "/api/v1/common/download-url", json={"url": url}))
        links = read_urls(envelope.data, Oddities())
        if not links:
            raise _unusable_response(envelope, "no link in the response")
        return links[0]

    def upload(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """Upload a file to where the provider can fetch it for about a day, by the call that fits its size; returns its URL."""
        send = self.upload_base64 if len(content) <= _BASE64_LIMIT_BYTES else self.upload_stream
        return send(content, file_name=file_name, mime_type=mime_type)

    def upload_base64(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """POST file-base64-upload; returns the URL of the file."""
        data_url = f"data:{mime_type};base64,{base64.b64encode(content).decode('ascii')}"
        return self._send_upload(
            "/api/file-base64-upload", json={"base64Data": data_url, **_upload_target(content, file_name)}
        )

    def upload_stream(self, content: bytes, *, file_name: str, mime_type: str) -> str:
        """POST file-stream-upload (multipart); returns the URL of the file."""
        target = _upload_target(content, file_name)
        files = {"file": (target["fileName"], content, mime_type)}
        return self._send_upload("/api/file-stream-upload", form=target, files=files)

    def upload_url(self, url: str, *, file_name: str) -> str:
        """POST file-url-upload: the provider copies a public file (30 s, about 100 MB); returns the copy's URL."""
        return self._send_upload(
            "/api/file-url-upload", json={"fileUrl": url, **_upload_target(url.encode(), file_name)}
        )

    def _create_task(self, call: Call, path: str, body: Mapping[str, object], *, callback_url: str) -> str:
        envelope = self._api.send(call, "POST", path, json=body, secret=callback_url)
        new_task_id = envelope.new_task_id()
        if effective_code(envelope) == 200:
            detail = f"{envelope.describe()}; no usable task id"
            error: errors.ProviderError = errors.Unconfirmed(
                detail, status=envelope.status, provider_code=envelope.code
            )
        else:
            error = make_error(envelope, call=call)
        if new_task_id and isinstance(error, errors.Unconfirmed):
            # The task that the response names exists, whatever else the response says; record-info returns its state.
            return new_task_id
        raise error

    def _send_upload(
        self,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> str:
        envelope = _check_free(self._uploads.send(Call.FREE, "POST", path, json=json, form=form, files=files))
        data = as_mapping(envelope.data)
        links = read_urls(first_present(data.get("downloadUrl"), data.get("fileUrl")), Oddities())
        if not links or envelope.root.get("success") is False or data.get("success") is False:
            raise _unusable_response(envelope, "the upload brought no URL")
        return links[0]


def _check_free(envelope: Envelope) -> Envelope:
    """The envelope of a successful free call. Raises NoAnswer, OutOfCredits, AccessDenied."""
    if effective_code(envelope) != 200:
        raise make_error(envelope, call=Call.FREE)
    return envelope


def _read_upscale(envelope: Envelope) -> UpscaleReport:
    """The report on an upscale; raises its error. A URL in the reply decides first, then the message, then the code."""
    code = effective_code(envelope)
    data = as_mapping(envelope.data)
    oddities = Oddities()
    # 1080p has `resultUrl` (a string), 4K has `resultUrls`; other clients also read the remaining fields.
    urls = read_urls(data.get("resultUrl"), Oddities()) or read_urls(data.get("resultUrls"), oddities)
    urls = urls or read_result_urls(data, oddities) or read_urls(data.get("url"), oddities)
    is_pending = code in (400, 422) and _NOT_READY.search(envelope.message)
    # 4K answers 422 "has been generated successfully" with the URLs, so a 422 with URLs is not an error.
    if code != 200 and not is_pending and not (urls and code == 422):
        raise make_error(envelope, call=Call.DERIVE)
    return UpscaleReport(
        ready=bool(urls),
        url=urls[0] if urls else "",
        provider_task_id=envelope.new_task_id(),
        provider_credits=read_cost(data, oddities),
        message=envelope.message,
        oddities=oddities.labels(),
    )


def _check_task_id(provider_task_id: str) -> str:
    """The id if it is well formed. Raises Refused otherwise, so that no paid call is sent."""
    if not read_task_id(provider_task_id):
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


def _upload_target(content: bytes, file_name: str) -> dict[str, str]:
    """Path and name for an upload.

    Each content has its own folder, because caches would keep serving the old content of an overwritten file.
    """
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "-", file_name).strip("-.")[-80:] or "file"
    return {"uploadPath": f"veoapp/{hashlib.sha256(content).hexdigest()[:32]}", "fileName": safe_name}


def _unusable_response(envelope: Envelope, problem: str) -> errors.NoAnswer:
    return errors.NoAnswer(f"{envelope.describe()}; {problem}", status=envelope.status, provider_code=envelope.code)
