-- Prints what `benches::load` reads: the requests per second, the 99th percentile in microseconds,
-- and the number of requests that failed.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("rate %f\n", summary.requests / summary.duration * 1e6))
    io.write(string.format("p99 %f\n", latency:percentile(99.0)))
    io.write(string.format("errors %d\n", errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
