//! How many requests a second a server answers. See `benches::load`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::load::run(std::env::args().skip(1))
}
