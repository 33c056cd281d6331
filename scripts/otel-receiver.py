"""Receives OTLP over HTTP and gRPC on free ports of the loopback, and appends each request as a line
of JSON to DIRECTORY/RUN/SIGNAL, where RUN is what DIRECTORY/current contains.

    otel-receiver.py DIRECTORY
"""

import base64
import gzip
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

DIRECTORY = sys.argv[1]
PACKAGE = "opentelemetry.proto.collector"
SIGNALS = {
    "traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, "trace.v1.TraceService"),
    "logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, "logs.v1.LogsService"),
    "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse, "metrics.v1.MetricsService"),
}
IDS = ("traceId", "spanId", "parentSpanId")
lock = threading.Lock()


def with_hex_ids(value):
    """Ids are base64 in the JSON of protobuf, and hexadecimal in that of OTLP."""
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in IDS else with_hex_ids(item)
            for key, item in value.items()
        }
    return value


def store(signal, request, transport):
    with lock:
        with open(os.path.join(DIRECTORY, "current")) as file:
            run = file.read().strip()
        message = with_hex_ids(json_format.MessageToDict(request))
        message["transport"] = transport
        with open(os.path.join(DIRECTORY, run, signal), "a") as file:
            file.write(json.dumps(message) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding == "gzip":
            body = gzip.decompress(body)
        signal = self.path.removeprefix("/v1/")
        if self.headers["Content-Type"] != "application/x-protobuf" or signal not in SIGNALS:
            self.send_error(415)
            return
        request, response, _ = SIGNALS[signal]
        store(signal, request.FromString(body), encoding)
        answer = response().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def grpc_handler(signal):
    request, response, service = SIGNALS[signal]

    def export(message, _):
        store(signal, message, "grpc")
        return response()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{service}", {"Export": method})


http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
http_server.daemon_threads = True
grpc_server = grpc.server(ThreadPoolExecutor(4))
grpc_server.add_generic_rpc_handlers(tuple(grpc_handler(signal) for signal in SIGNALS))
grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
grpc_server.start()
with open(os.path.join(DIRECTORY, "ports.new"), "w") as file:
    file.write(f"{http_server.server_port} {grpc_port}\n")
os.rename(os.path.join(DIRECTORY, "ports.new"), os.path.join(DIRECTORY, "ports"))
http_server.serve_forever()
