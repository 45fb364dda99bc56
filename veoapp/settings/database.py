"""Database and cache."""

from typing import Any

from veoapp.settings.base import VAR_DIR, env

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default="")
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR_DIR / "veoapp.sqlite3"}
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    VAR_DIR.mkdir(exist_ok=True)
    _database["OPTIONS"] = {
        # Takes the write lock when a transaction begins; taking it later can fail at once instead of waiting.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    # Django's connection pool is not used, because the worker (django-q) forks processes, which must not share connections.
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    _database["CONN_HEALTH_CHECKS"] = True
    _database.setdefault("OPTIONS", {})["options"] = (
        "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
        # Statements here take milliseconds; parallel workers or JIT compilation would cost more than they save.
        " -c max_parallel_workers_per_gather=0 -c jit=off"
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    # Rate limits are stored in the cache, so all processes must share it: Redis, or a database table.
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache_entries",
        # With the default of 300 entries, a few hundred clients would evict each other's rate limits.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}
