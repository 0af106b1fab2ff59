//! Transcripts of the real command: what it prints, where, and its exit code.
//!
//! The guide's screens and `tests/cmd/*.md` are run and compared. `TRYCMD=overwrite cargo test --test
//! transcripts` writes what the command prints; read the difference before committing it.

#[test]
fn what_the_command_prints() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env("KUBECONFIG", "tests/cmd/no-kubeconfig")
        .case("docs/guide/*.md")
        .case("tests/cmd/*.md");
}
