"""Finds a Chromium that Playwright can drive."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOWNLOAD_WITHIN_S = 300

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
    """Flags without background activity; Chromium's sandbox is off only for root, where it cannot work."""
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
    """As `find`, else let Playwright download one. Raises NoChromium with the reason."""
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if driver.returncode:
        reason = (driver.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoChromium(f"Playwright's driver does not start: {reason[-300:]} (Debian: apt install libatomic1)")
    if found := find():
        return found
    try:
        result = subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        raise NoChromium(f"no Chromium found, and its download took longer than {DOWNLOAD_WITHIN_S} s") from None
    if found := find():
        return found
    lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
    raise NoChromium(f"no Chromium found, and its download failed: {lines[-1][:300]}")
