//! The way people start it: `kubectl ambient …`, found by kubectl's own plugin discovery.

use harness::Result;

use crate::wealist;

#[test]
fn kubectl_finds_it_and_passes_everything_on() -> Result {
    let plane = wealist::shared()?;
    let arguments = ["check", "-n", "default", "-o", "json", "--no-metadata"];
    let direct = plane.ambient(arguments)?.run()?.exited(0)?;
    let through = plane
        .kubectl(["ambient"].iter().chain(&arguments))
        .run()?
        .exited(0)?;
    assert_eq!(through.stdout, direct.stdout);
    Ok(())
}

#[test]
fn its_exit_codes_are_kubectls() -> Result {
    let plane = wealist::shared()?;
    for (arguments, code) in [
        (&["ambient", "check", "--fail-on", "warning"][..], 1),
        (&["ambient", "check", "--no-such-flag"], 2),
        (&["ambient", "check", "--server", "https://127.0.0.1:1"], 3),
    ] {
        plane.kubectl(arguments).run()?.exited(code)?;
    }
    Ok(())
}

#[test]
fn kubectl_lists_it() -> Result {
    let plane = wealist::shared()?;
    let listed = plane.kubectl(["plugin", "list", "--name-only"]).run()?;
    assert_eq!(
        listed.exited(0)?.stdout.lines().last(),
        Some("kubectl-ambient")
    );
    Ok(())
}
