//! Runs the formats of receivers against `json`. See `benches::run_formats`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::run_formats(std::env::args().skip(1))
}
