//! What it costs to give a call a span and headers. See `benches::http_client`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::http_client::run(std::env::args().skip(1))
}
