"""kie.ai, or the sandbox that plays it: keys, addresses, callbacks, time limits of sent videos, and rate limit."""

from veoapp.settings.base import APP_URL, DEBUG, env

SANDBOX_PORT = env.int("SANDBOX_PORT", default=8787)
KIE_AI_API_KEY = env.str("KIE_AI_API_KEY", default="") or env.str("KIE_API_KEY", default="")
KIE_AI_BASE_URL = env.str("KIE_AI_BASE_URL", default="https://api.kie.ai").rstrip("/")
# With DEBUG and no key, orders go to a sandbox: the one `make run` starts, or the one at SANDBOX_URL. A key saved in the
# admin takes precedence.
SANDBOX_ALLOWED = DEBUG and not KIE_AI_API_KEY
SANDBOX_URL = env.str("SANDBOX_URL", default="").rstrip("/") or (
    f"http://127.0.0.1:{SANDBOX_PORT}" if KIE_AI_BASE_URL == "https://api.kie.ai" else KIE_AI_BASE_URL
)
# kie.ai takes uploads at a separate host. With another KIE_AI_BASE_URL uploads go to that address too, because the API
# key and users' images must be sent only to hosts that were configured.
KIE_AI_UPLOAD_BASE_URL = env.str("KIE_AI_UPLOAD_BASE_URL", default="").rstrip("/") or (
    "https://kieai.redpandaai.co" if KIE_AI_BASE_URL == "https://api.kie.ai" else KIE_AI_BASE_URL
)
KIE_AI_WEBHOOK_HMAC_KEY = env.str("KIE_AI_WEBHOOK_HMAC_KEY", default="")
# Where the provider sends callbacks; differs from APP_URL only when the provider reaches the site under another name.
CALLBACK_BASE_URL = env.str("CALLBACK_BASE_URL", default=APP_URL).rstrip("/")
# Private hosts or networks from which finished videos may be downloaded.
RESULT_HOSTS_ALLOWED = env.list("RESULT_HOSTS_ALLOWED", default=[])
if SANDBOX_ALLOWED:
    RESULT_HOSTS_ALLOWED = [*RESULT_HOSTS_ALLOWED, "127.0.0.1", "localhost"]
# Upper bound on the wait before a video is first polled; callbacks usually come sooner.
FIRST_POLL_AT_MOST_S = env.float("FIRST_POLL_AT_MOST_S", default=60.0)
# How long one worker may hold a video that it submits (its lease). A submission times out after 60 s, so a worker that
# has not finished after twice that has died, and it is unknown whether the provider accepted the video.
SUBMIT_LEASE_S = env.float("SUBMIT_LEASE_S", default=120.0)
# How long a sent video may go without a result before it fails and is refunded.
HARD_DEADLINE_HOURS = env.float("HARD_DEADLINE_HOURS", default=6.0)
# Whether the provider charges for failed videos.
CHARGED_WHEN_FAILED = env.bool("CHARGED_WHEN_FAILED", default=False)
# The provider accepts at most PROVIDER_RATE_LIMIT submissions within PROVIDER_RATE_WINDOW_S seconds.
PROVIDER_RATE_LIMIT = env.int("PROVIDER_RATE_LIMIT", default=20)
PROVIDER_RATE_WINDOW_S = env.int("PROVIDER_RATE_WINDOW_S", default=10)
