//! The command line: a thin shell around the library.

fn main() {
    println!("simtrot {}", env!("CARGO_PKG_VERSION"));
}
