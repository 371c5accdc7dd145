//! The program `atl`; everything is in [`atl::cli`].

fn main() -> std::process::ExitCode {
    atl::cli::main()
}
