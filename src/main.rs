//! The binary: wiring only.

use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let _gone = writeln!(
            std::io::stderr(),
            "error: this is a bug in kubectl-ambient {}: {panic}\nhint: a run that was under way can be gone on with or taken back; report this with the command you typed",
            env!("CARGO_PKG_VERSION"),
        );
        std::process::exit(i32::from(kubectl_ambient::exit::Exit::Internal.code()));
    }));
    ExitCode::from(kubectl_ambient::cli::run(std::env::args_os()).code())
}
