"""Static files, and stored videos and images on disk or in S3."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config

from veoapp.settings.base import BASE_DIR, DEBUG, VAR_DIR, env

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "veoapp" / "static"]
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "media")))
# Downloads are written to this folder, checked, then moved into storage. On the same disk as MEDIA_ROOT the move is a
# rename. The retries of downloads are not settings: see `videos.pipeline.download_rows`.
INCOMING_ROOT = Path(env.str("INCOMING_ROOT", default=str(MEDIA_ROOT / ".incoming")))
# Downloads wait while less disk space than this would stay free.
DISK_RESERVE_MB = env.int("DISK_RESERVE_MB", default=1024)
X_ACCEL_PREFIX = env.str("X_ACCEL_PREFIX", default="")  # e.g. /protected/: nginx then serves the files
AWS_STORAGE_BUCKET_NAME = env.str("AWS_STORAGE_BUCKET_NAME", default="")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ORIGINS: list[str] = []  # other hosts that serve stored files to browsers
if AWS_STORAGE_BUCKET_NAME:
    _region = env.str("AWS_S3_REGION_NAME", default="")
    _endpoint = env.str("AWS_S3_ENDPOINT_URL", default="").rstrip("/")
    # A signed Amazon link must name the region's host: the global one redirects, which breaks the signature.
    _amazon_host = f"s3.{_region}.amazonaws.com" if _region else "s3.amazonaws.com"
    MEDIA_ORIGINS = [
        "{0.scheme}://{0.netloc}".format(urlsplit(_endpoint))
        if _endpoint
        else f"https://{AWS_STORAGE_BUCKET_NAME}.{_amazon_host}"
    ]
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": AWS_STORAGE_BUCKET_NAME,
            "access_key": env.str("AWS_ACCESS_KEY_ID", default="") or None,
            "secret_key": env.str("AWS_SECRET_ACCESS_KEY", default="") or None,
            "region_name": _region or None,
            "endpoint_url": _endpoint or f"https://{_amazon_host}",
            "default_acl": None,
            "querystring_auth": True,
            "querystring_expire": 600,
            "file_overwrite": False,
            # boto3's defaults would block a worker for five attempts of a minute each.
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if _endpoint else "virtual"},
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
        },
    }
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
