//! What traces and logs over OTLP cost. See `benches::otel`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::otel::run(std::env::args().skip(1))
}
