"""Finds a Chromium that Playwright can drive."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOWNLOAD_WITHIN_S = 300

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
DOWNLOADED = (
    "~/.cache/ms-playwright/chromium-*/chrome-linux*/chrome",
    "~/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)


class NoChromium(Exception):
    """Chromium cannot be had on this machine; the text says why."""


def launch_arguments() -> list[str]:
    """Flags that keep Chromium quiet; its sandbox stays on unless we are root, where it cannot work."""
    quiet = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return [*quiet, "--no-sandbox"] if os.geteuid() == 0 else quiet


def find() -> str | None:
    """The path of an installed Chromium: the one of `CHROMIUM`, the system's, or one that Playwright downloaded."""
    if named := os.environ.get("CHROMIUM"):
        return named
    on_path = [shutil.which(name) for name in NAMES]
    downloaded = [
        path for pattern in DOWNLOADED for path in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True)
    ]
    return next((path for path in [*on_path, *PLACES, *downloaded] if path and Path(path).exists()), None)


def find_or_download() -> str:
    """As `find`, else let Playwright download its own once. Raise `NoChromium` with the reason."""
    driver = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if driver.returncode:
        reason = (driver.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoChromium(f"Playwright's driver does not start: {reason[-300:]} (Debian: apt install libatomic1)")
    if found := find():
        return found
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        raise NoChromium(f"no Chromium here, and its download took longer than {DOWNLOAD_WITHIN_S} s") from None
    if found := find():
        return found
    lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no reason given"]
    raise NoChromium(f"no Chromium here, and its download failed: {lines[-1][:300]}")
