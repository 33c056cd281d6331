"""Compares what a receiver got with the lines of the shop: otel-e2e.py DIRECTORY TRANSPORT"""

import json
import os
import sys

DIRECTORY, TRANSPORT = sys.argv[1:]


def read(name):
    path = os.path.join(DIRECTORY, name)
    if not os.path.exists(path):
        sys.exit(f"{TRANSPORT}: no {name} arrived")
    with open(path) as file:
        return [json.loads(line) for line in file]


def value(any_value):
    [(kind, content)] = any_value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [value(item) for item in content.get("values", [])]
    return content


def attributes(owner):
    pairs = owner.get("attributes", [])
    keys = [pair["key"] for pair in pairs]
    assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
    return {pair["key"]: value(pair["value"]) for pair in pairs}


def records(name, resources, scopes, items):
    """All records of a signal, each with the attributes of its resource and the name of its scope."""
    for request in read(name):
        expected = {"http": "identity"}.get(TRANSPORT, TRANSPORT)
        assert request["transport"] == expected, request["transport"]
        for resource in request[resources]:
            of_resource = attributes(resource["resource"])
            for scope in resource[scopes]:
                for item in scope[items]:
                    yield {**item, "resource": of_resource, "scope": scope["scope"]["name"]}


lines = read("lines")
spans = list(records("traces", "resourceSpans", "scopeSpans", "spans"))
logs = list(records("logs", "resourceLogs", "scopeLogs", "logRecords"))
metrics = list(records("metrics", "resourceMetrics", "scopeMetrics", "metrics"))
assert lines and spans and logs and metrics

# The ids of spans are unique, and each parent has arrived, too.
by_id = {(span["traceId"], span["spanId"]): span for span in spans}
assert len(by_id) == len(spans), "two spans have the same id"
for span in spans:
    assert span["resource"]["service.name"] in ("shop", "warehouse"), span["resource"]
    parent = span.get("parentSpanId")
    assert not parent or (span["traceId"], parent) in by_id, f"no parent: {span}"
    attributes(span)

# A request of the shop that calls the warehouse is one trace of both services.
of_trace = {}
for span in spans:
    of_trace.setdefault(span["traceId"], set()).add(span["resource"]["service.name"])
assert {"shop", "warehouse"} in of_trace.values(), of_trace

# Each line with a span has the ids of an exported span. Each log record has the ids of its line.
for line in lines:
    if "span" in line:
        ids = line["trace_id"], line["span_id"]
        assert ids in by_id, f"no such span: {line}"
        assert by_id[ids]["resource"]["service.name"] == line["service"]["name"], line
        assert line["trace_flags"] in ("01", "03"), line


def keys(items):
    return sorted(items, key=str)


from_lines = keys(
    (line["service"]["name"], line.get("message"), line.get("trace_id"), line.get("span_id"), line.get("request_id"))
    for line in lines
)
from_logs = keys(
    (
        log["resource"]["service.name"],
        value(log["body"]) if "body" in log else None,
        log.get("traceId"),
        log.get("spanId"),
        attributes(log).get("request_id"),
    )
    for log in logs
)
assert from_lines == from_logs, "\n".join(
    ["lines and log records differ:", *map(str, set(from_lines) ^ set(from_logs))]
)

# The request that fails.
failed = [span for span in spans if span.get("status", {}).get("code") == "STATUS_CODE_ERROR"]
server = [span for span in failed if span["kind"] == "SPAN_KIND_SERVER"]
assert server, "no failed request"
for span in server:
    found = attributes(span)
    assert found["http.response.status_code"] >= 500, found
    assert span["name"] == f"{found['http.request.method']} {found['http.route']}", span["name"]

names = {metric["name"] for metric in metrics}
for name in ("http.server.request.duration", "http.client.request.duration", "process.cpu.time"):
    assert name in names, f"no metric {name} in {sorted(names)}"

print(
    f"{TRANSPORT}: {len(spans)} spans in {len(of_trace)} traces, {len(logs)} log records as many as lines, "
    f"{len(names)} metrics"
)
