//! Measures what a sampler costs. See `benches::sampling`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::sampling::run(std::env::args().skip(1))
}
