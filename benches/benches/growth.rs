//! How the cost of an event grows. See `benches::growth`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::growth::run(std::env::args().skip(1))
}
