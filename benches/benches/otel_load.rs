//! A server under load whose collector fails. See `benches::otel_load`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::otel_load::run(std::env::args().skip(1))
}
