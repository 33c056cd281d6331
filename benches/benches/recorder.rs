//! What the flight recorder costs. See `benches::recorder`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::recorder::run(std::env::args().skip(1))
}
