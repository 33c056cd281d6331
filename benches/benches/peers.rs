//! Runs the contenders against each other. See the crate's documentation.

#[global_allocator]
static ALLOCATOR: benches::Counting = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::run(std::env::args().skip(1))
}
