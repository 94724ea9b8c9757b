//! `dotcart`: parse, run, exit code.

fn main() -> std::process::ExitCode {
    dotcart::cli::run()
}
