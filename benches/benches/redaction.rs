//! Runs layers with a policy against the same without one. See `benches::redaction`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::redaction::run(std::env::args().skip(1))
}
