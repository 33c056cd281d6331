//! What routes and filters cost. See `benches::routes`.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::routes::run(std::env::args().skip(1))
}
