//! The program `atl-monitor`; everything is in [`atl_monitor::cli`].

fn main() -> std::process::ExitCode {
    atl_monitor::cli::main()
}
