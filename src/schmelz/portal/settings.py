"""Django's settings, from seven environment variables; nothing else configures the portal.

SCHMELZ_DATA       the state's directory (default .data): database, secret key, job records, the local cluster
SCHMELZ_FACTORY    the policy file (default factory.toml)
SCHMELZ_DATABASE   a PostgreSQL connection (postgresql://user@host/name); default SQLite in the data directory
SCHMELZ_HOSTS      comma list of host names that are served (default: this machine only)
SCHMELZ_MAIL       host:port of the mail relay; without it letters stay in the outbox
SCHMELZ_HTTPS      1 when served behind HTTPS: cookies are then sent only over it
SCHMELZ_METRICS_TOKEN   opens /metrics to a monitoring system that sends it
"""

import logging.config
import os
import secrets
import tempfile
from pathlib import Path

from schmelz.faults import BadInput

DATA = Path(os.environ.get("SCHMELZ_DATA") or ".data").absolute()
FACTORY = Path(os.environ.get("SCHMELZ_FACTORY") or "factory.toml").absolute()
NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
HTTPS = os.environ.get("SCHMELZ_HTTPS") == "1"


def _secret() -> str:
    """The signing key: made once, kept beside the database, readable by its owner only."""
    path = DATA / "secret.key"
    try:
        return path.read_text()
    except OSError:
        pass
    key = secrets.token_urlsafe(48)
    try:
        DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, aside = tempfile.mkstemp(prefix=".secret-", dir=DATA)
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
        try:
            Path(path).hardlink_to(aside)  # whole or not at all, and the first one wins
        except FileExistsError:
            return path.read_text()
        finally:
            Path(aside).unlink()
    except OSError:
        pass
    return key


def _connection(url: str) -> dict[str, object]:
    """What libpq reads in a connection's address, in Django's words. Raises BadInput."""
    try:
        from psycopg import ProgrammingError, conninfo
    except ImportError:
        raise BadInput("SCHMELZ_DATABASE: needs psycopg; install the extra `postgres`") from None
    try:
        parts = conninfo.conninfo_to_dict(url)
    except ProgrammingError:  # its words would show the password
        parts = {}
    if not parts.get("dbname"):
        raise BadInput(
            "SCHMELZ_DATABASE: names no database; write for example postgresql://schmelz@db.example.org/schmelz"
        )
    named = {theirs: str(parts.pop(ours, "")) for ours, theirs in NAMES.items()}
    return {**named, "OPTIONS": parts}


def _database() -> dict[str, object]:
    url = os.environ.get("SCHMELZ_DATABASE")
    if url:
        return {"ENGINE": "schmelz.portal.postgres", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, **_connection(url)}
    # IMMEDIATE: two writers wait for each other instead of failing half-way. FULL: what was acknowledged survives a kill.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "schmelz.sqlite3",
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        },
    }


SECRET_KEY = _secret()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *filter(None, os.environ.get("SCHMELZ_HOSTS", "").split(","))]
DATABASES = {"default": _database()}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "schmelz.portal.ledger",
    "schmelz.portal.people",
    "schmelz.portal.usage",
    "schmelz.portal.projects",
    "schmelz.portal.clusters",
    "schmelz.portal.calls",
    "schmelz.web",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "schmelz.web.middleware.Headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "schmelz.web.middleware.Faults",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "schmelz.web.context.page",
            ]
        },
    }
]
ROOT_URLCONF = "schmelz.web.urls"
WSGI_APPLICATION = "schmelz.web.wsgi.application"
AUTH_USER_MODEL = "people.Person"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:  # the proxy in front says so; without one nobody can, because the server listens on loopback
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "schmelz.web.views.faults.csrf"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DEFAULT_FROM_EMAIL = "factory@localhost"
LOGGING_CONFIG = None  # Django's own set-up loads its error pages into every command, for letters that nobody gets
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {"django": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
    }
)
