-- What `benches::load` reads: requests a second, the 99th percentile in microseconds, and how many were not answered well.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("rate %f\n", summary.requests / summary.duration * 1e6))
    io.write(string.format("p99 %f\n", latency:percentile(99.0)))
    io.write(string.format("errors %d\n", errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
