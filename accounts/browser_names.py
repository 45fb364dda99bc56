"""Short names of browsers, so that users recognise their sessions. Used for display only."""

# Each pair is a text in the user agent and the name to show. The first match wins: Edge's user agent also contains
# Chrome, and Chrome's also contains Safari.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("MicroMessenger", "WeChat"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name_browser(user_agent: str) -> str:
    """Returns `Firefox · Linux`, or the shortened user agent if neither browser nor system is known."""
    names = [next((name for token, name in table if token in user_agent), "") for table in (BROWSERS, SYSTEMS)]
    return " · ".join(name for name in names if name) or user_agent[:40]
