//! Runs the writers of files against each other. See `benches::appender`.

#[global_allocator]
static ALLOCATOR: benches::Counting<true> = benches::Counting;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::appender::run(std::env::args().skip(1))
}
