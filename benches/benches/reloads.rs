//! How long callers wait while the configuration is reloaded. See `benches::reloads`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    benches::reloads::run(std::env::args().skip(1))
}
