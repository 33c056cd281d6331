"""Checks Bugsink's database after the examples have run: sentry-e2e.py DIRECTORY, from sentry-e2e."""

import json
import sqlite3
import sys
import time

work = sys.argv[1]


def stored():
    """Returns all events that the server has stored, the oldest first, and the number of issues."""
    connection = sqlite3.connect(f"file:{work}/events.sqlite3?mode=ro", uri=True)
    try:
        events = connection.execute("select data from events_event order by ingested_at").fetchall()
        issues = connection.execute("select count(*) from issues_issue").fetchone()[0]
    finally:
        connection.close()
    return [text for (text,) in events], issues


def lines(name):
    with open(f"{work}/{name}.lines", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# One error of the shop. Two errors of the other example, and a repeat of each.
EXPECTED = 5
for _ in range(600):
    texts, issues = stored()
    if len(texts) >= EXPECTED:
        break
    time.sleep(0.1)
events = [json.loads(text) for text in texts]
assert len(events) == EXPECTED, f"{len(events)} events are stored"


def one(wanted):
    found = [event for event in events if wanted(event) and "repeats" not in event["tags"]]
    assert len(found) == 1, found
    return found[0]


def crumbs(event):
    return [crumb["message"] for crumb in event["breadcrumbs"]["values"]]


def chain(event):
    return [(link["type"], link["value"]) for link in event["exception"]["values"]]


def assert_equal(got, expected):
    assert got == expected, f"\n     got {got}\nexpected {expected}"


# The failing payment of the shop.
event = one(lambda event: event["message"] == "request failed")
line = next(line for line in lines("shop") if line["message"] == "request failed")
assert_equal(event["tags"], {"request_id": line["request_id"], "tenant_id": "acme"})
assert_equal(
    chain(event),
    [
        ("io::Error", "connection reset"),
        ("GatewayError", "the payment gateway did not answer"),
        ("ShopError", "the payment could not be taken"),
    ],
)
assert_equal(event.get("level", "error"), "error")
assert_equal(event["contexts"]["trace"]["trace_id"], line["trace_id"])
assert_equal(event["transaction"], "POST /orders/{id}/pay")
assert event["release"].startswith("shop@"), event["release"]
assert_equal(event["environment"], "staging")
assert_equal(event["user"]["id"], "ada")
assert_equal(event["contexts"]["fields"]["http.response.status_code"], 502)
assert_equal(event["contexts"]["fields"]["url.path"], "/orders/42/pay")
assert_equal(event["contexts"]["spans"]["http.request"]["http.route"], "/orders/{id}/pay")
assert_equal(event["breadcrumbs"]["values"][-1]["data"]["amount"], 19.99)
before = [line["message"] for line in lines("shop") if line.get("request_id") == event["tags"]["request_id"]]
assert_equal(crumbs(event), before[: before.index("request failed")])
assert crumbs(event), "there are breadcrumbs"

# Two requests at once.
for request, tenant, user, order in [("r-1", "acme", "ann", 17), ("r-2", "globex", "bob", 42)]:
    event = one(lambda event: event["tags"]["request_id"] == request)
    assert_equal(event["message"], f"payment {order} failed")
    assert_equal(event["tags"], {"request_id": request, "tenant_id": tenant})
    assert_equal(event["user"]["id"], user)
    assert_equal(crumbs(event), [f"payment {order} begins"])
    line = next(line for line in lines("sentry") if line["request_id"] == request)
    assert_equal(event["contexts"]["trace"]["trace_id"], line["trace_id"])
    assert_equal(event["release"], "shop@1.4.0")

repeats = [event["tags"]["repeats"] for event in events if "repeats" in event["tags"]]
assert_equal(repeats, ["2", "2"])
# A repeat belongs to the issue of the event that it repeats.
assert issues <= 3, f"{issues} issues"

for text in texts:
    # The beginning of the card number in the example.
    assert "4111" not in text, text

print(f"{len(events)} events of {issues} issues are in Bugsink, each with its request, and without its secrets")
