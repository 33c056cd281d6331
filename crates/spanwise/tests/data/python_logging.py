"""Writes python_logging.json: the handlers that get each event, according to Python's logging.

Run it by hand after a change: python3 python_logging.py > python_logging.json
"""

import json
import logging
import logging.config
import sys


class Recorder(logging.Handler):
    """Appends its name to `seen`."""

    seen = []

    def emit(self, record):
        self.seen.append(self.get_name())


def handler(level="NOTSET", filters=()):
    made = {"class": "__main__.Recorder", "level": level}
    return {**made, "filters": list(filters)} if filters else made


# Django's documentation: a logger for requests and one for the program, each with handlers.
DJANGO = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": handler("INFO"),
        "file": handler(),
        "mail_admins": handler("ERROR"),
        "security": handler("WARNING"),
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["file"], "level": "INFO", "propagate": True},
        "django.request": {"handlers": ["mail_admins"], "level": "ERROR", "propagate": False},
        "django.db.backends": {"level": "WARNING"},
        "django.security": {"handlers": ["security", "mail_admins"], "level": "INFO"},
        "django.security.csrf": {"level": "DEBUG", "propagate": True},
        "myproject.custom": {"handlers": ["console", "mail_admins"], "level": "INFO"},
    },
}

# A service with loggers for purposes, some of them exclusive.
SERVICE = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": handler(),
        "app": handler("INFO"),
        "errors": handler("ERROR"),
        "business": handler("INFO"),
        "performance": handler(),
        "audit": handler(),
    },
    "root": {"handlers": ["console", "errors"], "level": "INFO"},
    "loggers": {
        "shop": {"handlers": ["app"], "level": "DEBUG"},
        "shop.orders": {"handlers": ["business"], "propagate": False},
        "shop.orders.audit": {"handlers": ["audit"], "level": "INFO", "propagate": True},
        "performance": {"handlers": ["performance"], "level": "DEBUG", "propagate": False},
        "sqlx": {"level": "ERROR"},
        "my_client": {"handlers": ["app"], "level": "WARNING", "propagate": False},
    },
}

CONFIGS = {"django": DJANGO, "service": SERVICE}

LOGGERS = {
    "django": [
        "", "django", "django.request", "django.request.slow", "django.db.backends",
        "django.db", "django.security", "django.security.csrf", "django.security.csrf.token",
        "djangorest", "myproject", "myproject.custom", "myproject.custom.views", "other",
    ],
    "service": [
        "", "shop", "shop.cart", "shop.orders", "shop.orders.db", "shop.orders.audit",
        "shop.orders.audit.trail", "shopping", "performance", "performance.db", "sqlx",
        "sqlx.query", "my_client", "my_client.pool", "my_client_core", "hyper",
    ],
}

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]


def handlers_of(logger, level):
    Recorder.seen.clear()
    logging.getLogger(logger or None).log(getattr(logging, level), "event")
    return sorted(Recorder.seen)


def table(name, config):
    logging.config.dictConfig(config)
    pairs = [(logger, level) for logger in LOGGERS[name] for level in LEVELS]
    events = [
        {"logger": logger, "level": level, "handlers": handlers_of(logger, level)}
        for logger, level in pairs
    ]
    # The next configuration starts without these loggers.
    logging.root.manager.loggerDict.clear()
    return {"name": name, "config": config, "events": events}


def main():
    logging.lastResort = None
    tables = [table(name, config) for name, config in CONFIGS.items()]
    made_by = "python_logging.py, by Python " + sys.version.split()[0]
    json.dump({"made_by": made_by, "tables": tables}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
