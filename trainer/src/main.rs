//! The `dunlin` command; `dunlin --help` says what it does.

mod cli;

fn main() -> miette::Result<()> {
    cli::main()
}
