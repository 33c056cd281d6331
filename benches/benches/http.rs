//! What it costs to log the requests of a server. See `benches::http`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::http::run(std::env::args().skip(1))
}
