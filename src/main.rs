//! `dotcart`: parse, run, exit code. The command line is a crate of its own above the library, so nothing below can use it, and
//! a change of it compiles nothing else.

mod cli;

fn main() -> std::process::ExitCode {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Without it Mesa's window system code, which is never used here, prints an error when adapters are listed.
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
    cli::run()
}
