"""Finds a Chromium that Playwright can drive."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOWNLOAD_TIMEOUT_S = 300

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APP_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
DOWNLOAD_PATTERNS = (
    "~/.cache/ms-playwright/chromium-*/chrome-linux*/chrome",
    "~/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)


class NoChromium(Exception):
    """Chromium is not available on this machine; the text says why."""


def launch_arguments() -> list[str]:
    """Flags that disable background activity, and for root also Chromium's sandbox, which does not work for root."""
    flags = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return [*flags, "--no-sandbox"] if os.geteuid() == 0 else flags


def find() -> str | None:
    """The path of an installed Chromium: from `CHROMIUM`, the system's, or one that Playwright downloaded."""
    if path := os.environ.get("CHROMIUM"):
        return path
    on_path = [shutil.which(name) for name in COMMANDS]
    downloaded = [
        path for pattern in DOWNLOAD_PATTERNS for path in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True)
    ]
    return next((path for path in [*on_path, *APP_PATHS, *downloaded] if path and Path(path).exists()), None)


def find_or_download() -> str:
    """The path from `find`, else of a Chromium that Playwright downloads. Raises NoChromium with the reason."""
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if driver.returncode:
        reason = (driver.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoChromium(f"Playwright's driver does not start: {reason[-300:]} (Debian: apt install libatomic1)")
    if path := find():
        return path
    try:
        result = subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise NoChromium(f"no Chromium found, and its download took longer than {DOWNLOAD_TIMEOUT_S} s") from None
    if path := find():
        return path
    lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
    raise NoChromium(f"no Chromium found, and its download failed: {lines[-1][:300]}")
