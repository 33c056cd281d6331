"""Checks lines by the rules of their receivers: format-check.py DIRECTORY

DIRECTORY has a file NAME.jsonl for each format. Prints the number of lines, or the first line that a
receiver would refuse, drop or misread.
"""

import base64
import json
import os
import re
import sys

HEX_TRACE = re.compile(r"[0-9a-f]{32}")
HEX_SPAN = re.compile(r"[0-9a-f]{16}")


def unique(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key is repeated: {keys}"
    return dict(pairs)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def is_text(value):
    return isinstance(value, str)


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def time_is(text, digits):
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{%d}Z" % digits
    assert re.fullmatch(pattern, text), f"time {text}"


def has(line, **kinds):
    for key, kind in kinds.items():
        assert kind(line[key]), f"{key}: {line[key]!r}"


ECS_FIRST = ["@timestamp", "log.level", "message"]
ECS_INTEGERS = {
    "process.pid", "log.origin.file.line", "event.duration", "http.response.status_code",
    "http.response.body.bytes",
}
ECS_LISTS = {"labels.redacted", "labels.truncated", "labels.spans"}


def ecs(line):
    keys = list(line)
    first = [key for key in ECS_FIRST if key in line]
    assert keys[:len(first)] == first, f"first keys {keys[:3]}"
    time_is(line["@timestamp"], 6)
    assert is_text(line["ecs.version"]) and is_text(line["log.level"])
    assert is_text(line.get("message", ""))
    for key, value in line.items():
        if key.startswith("labels."):
            name = key.removeprefix("labels.")
            kind = isinstance(value, list) if key in ECS_LISTS else is_text(value)
        elif key.startswith("numeric_labels."):
            name = key.removeprefix("numeric_labels.")
            kind = is_number(value)
        else:
            name, kind = "leaf", is_integer(value) if key in ECS_INTEGERS else value is not None
            assert not isinstance(value, (dict, list, bool)), f"{key}: {value!r}"
        assert name and not re.search(r"[.*\\]", name), f"name {key}"
        assert kind, f"{key}: {value!r}"
    # No name is both a value and an object.
    for key in keys:
        prefix = key + "."
        assert not any(other.startswith(prefix) for other in keys), f"{key} is an object too"


GCP_SEVERITIES = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
GCP_SPECIAL = {"trace": is_text, "spanId": is_text, "sourceLocation": lambda v: isinstance(v, dict)}


def gcp(line):
    assert line["severity"] in GCP_SEVERITIES
    time_is(line["time"], 9)
    assert is_text(line.get("message", ""))
    prefix = "logging.googleapis.com/"
    for key, value in line.items():
        if key.startswith(prefix):
            assert GCP_SPECIAL[key.removeprefix(prefix)](value), key
        assert key not in ("timestamp", "timestampSeconds", "timestampNanos", "timeNanos"), key
    trace = line.get(prefix + "trace")
    if trace is not None:
        project, digits = re.fullmatch(r"projects/([^/]+)/traces/(.*)", trace).groups()
        assert project and HEX_TRACE.fullmatch(digits), trace
    assert HEX_SPAN.fullmatch(line.get(prefix + "spanId", "0" * 16))
    request = line.get("httpRequest", {})
    assert is_integer(request.get("status", 0)) and is_text(request.get("responseSize", ""))
    assert re.fullmatch(r"\d+(\.\d{1,9})?s", request.get("latency", "0s"))


DATADOG_READS = {
    "level", "severity", "syslog.severity", "host", "hostname", "syslog.hostname", "date",
    "@timestamp", "_timestamp", "Timestamp", "eventTime", "published_date", "syslog.timestamp",
    "syslog.appname", "dd",
}


def datadog(line):
    assert line["status"] in {"debug", "info", "warn", "error", "critical"}
    time_is(line["timestamp"], 3)
    has(line, service=is_text, ddsource=is_text)
    assert is_text(line.get("message", ""))
    for key in line:
        assert key not in DATADOG_READS and not key.startswith(("dd.", "contextMap.dd.")), key


LOGSTASH_LEVELS = {"TRACE": 5000, "DEBUG": 10000, "INFO": 20000, "WARN": 30000, "ERROR": 40000}


def logstash(line):
    time_is(line["@timestamp"], 6)
    assert line["@version"] == "1" and line["level_value"] == LOGSTASH_LEVELS[line["level"]]
    has(line, message=is_text, logger_name=is_text, thread_name=is_text)
    assert "tags" not in line and "@metadata" not in line


GELF_OWN = {"version", "host", "short_message", "full_message", "timestamp", "level"}
# Graylog drops fields with these names when it removes the underscore.
GELF_DROPPED = {
    "_id", "_message", "_source", "_timestamp", "_full_message", "_short_message", "_facility",
    "_host", "_level",
}


def gelf(line):
    assert line["version"] == "1.1" and line["host"] and line["short_message"].strip()
    assert 1e9 < line["timestamp"] < 1e11 and line["level"] in range(8)
    for key, value in line.items():
        if key in GELF_OWN:
            continue
        assert len(key) <= 256, key
        assert re.fullmatch(r"_[\w.-]+", key, re.ASCII) and key not in GELF_DROPPED, key
        assert is_text(value) or is_number(value), f"{key}: {value!r}"


def bunyan(line):
    has(line, v=is_integer, level=is_integer, pid=is_integer)
    has(line, name=is_text, hostname=is_text, time=is_text, msg=is_text)
    time_is(line["time"], 3)
    assert line["v"] == 0 and line["level"] in {10, 20, 30, 40, 50, 60}
    error = line.get("err", {"message": ""})
    assert is_text(error["message"]) and is_text(error.get("stack", "")), f"err {error}"


def emf(line):
    has(line, timestamp=is_text, level=is_text, service=is_text, version=is_text)
    directive = line.get("_aws")
    if directive is None:
        return
    assert is_integer(directive["Timestamp"])
    for metrics in directive["CloudWatchMetrics"]:
        assert 1 <= len(metrics["Metrics"]) <= 100
        assert re.fullmatch(r"[A-Za-z0-9._#:/-]{1,255}", metrics["Namespace"])
        for metric in metrics["Metrics"]:
            assert is_number(line[metric["Name"]]), metric
        for names in metrics["Dimensions"]:
            for name in names:
                value = line[name]
                assert is_text(value) and 0 < len(value) <= 1024 and value.isascii(), name


def otlp(line):
    from google.protobuf import json_format
    from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

    for resource in line["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                keys = [attribute["key"] for attribute in record.get("attributes", [])]
                assert len(keys) == len(set(keys)) and all(keys), f"keys {keys}"
                assert is_text(record["timeUnixNano"]) and 1 <= record["severityNumber"] <= 24
                # The classes read ids as base64.
                for key, pattern in (("traceId", HEX_TRACE), ("spanId", HEX_SPAN)):
                    if key in record:
                        assert pattern.fullmatch(record[key]), key
                        record[key] = base64.b64encode(bytes.fromhex(record[key])).decode()
    # An unknown field or a value of a wrong type is an error.
    json_format.ParseDict(line, LogsData())


LOGFMT_PAIR = re.compile(r'([^="\x00-\x20]+)=("(?:[^"\\]|\\.)*"|[^="\x00-\x20]*)')


def logfmt_pairs(text):
    """Reads a line from its start to its end."""
    at, pairs = 0, []
    while at < len(text):
        match = LOGFMT_PAIR.match(text, at)
        assert match, f"no pair at {at}: {text[at:at + 40]}"
        value = match[2]
        pairs.append((match[1], json.loads(value) if value.startswith('"') else value))
        at = match.end()
        if at < len(text):
            assert text[at] == " ", f"no space at {at}"
            at += 1
    return pairs


def logfmt(text):
    line = unique(logfmt_pairs(text))
    time_is(line["ts"], 6)
    assert line["level"] in {"trace", "debug", "info", "warn", "error"}, line["level"]
    try:
        from logfmt import parser
    except ImportError:
        return
    if re.search(r'\\[^"]', text):
        return  # the parser reads no escape but that of a quote
    read = parser.parse_line(text)
    for key in ("ts", "level", "target", "service"):
        assert read[key] == line[key], key


def check(kind, path):
    count = 0
    with open(path, encoding="utf-8", newline="\n") as file:
        for text in file:
            assert text.endswith("\n")
            try:
                if kind == "logfmt":
                    logfmt(text[:-1])
                else:
                    line = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
                    globals()[kind](line)
            except Exception as error:
                sys.exit(f"{kind}: {type(error).__name__}: {error}\n{text}")
            count += 1
    print(f"{kind}: {count} lines")


for name in sorted(os.listdir(sys.argv[1])):
    if name.endswith(".jsonl"):
        check(name.removesuffix(".jsonl"), os.path.join(sys.argv[1], name))
