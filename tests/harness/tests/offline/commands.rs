//! Commands: their environment, their input and output, and their end.

use std::time::Duration;

use harness::{Invocation, Output, Result, Signal};

fn shell<'a>(script: &str) -> Invocation<'a> {
    let arguments = ["-c", script];
    Invocation::new("/bin/sh", "/the/kubeconfig".as_ref(), arguments)
}

#[test]
fn nothing_of_the_person_leaks() -> Result {
    let done = shell("/usr/bin/env; pwd; ls -A | wc -l")
        .env("PATH", "/usr/bin:/bin")
        .env("MORE", "1")
        .run()?;
    let mut names: Vec<&str> = done
        .stdout
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // What the shell itself sets.
        .filter(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HOME",
            "KUBECONFIG",
            "LANG",
            "MORE",
            "PATH",
            "TMPDIR",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME"
        ]
    );
    assert!(done.stdout.contains("KUBECONFIG=/the/kubeconfig\n"));
    let mut last = done.stdout.lines().rev();
    assert_eq!(
        last.next().map(str::trim),
        Some("0"),
        "the home folder is empty"
    );
    let home = last.next().unwrap();
    assert!(done.stdout.contains(&format!("HOME={home}\n")), "{done}");
    assert!(!std::path::Path::new(home).exists(), "and gone afterwards");
    Ok(())
}

#[test]
fn input_output_and_exit_code() -> Result {
    let much = "x".repeat(300_000);
    let done = shell("read -r first; echo \"$first\" >&2; cat; exit 3")
        .env("PATH", "/usr/bin:/bin")
        .stdin(format!("first\n{much}"))
        .run()?
        .exited(3)?;
    assert_eq!(
        (done.stdout.len(), done.stderr.as_str()),
        (much.len(), "first\n")
    );
    let error = shell("echo out; echo err >&2")
        .run()?
        .exited(1)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "`sh -c echo out; echo err >&2`: exit status: 0\nstdout:\nout\n\nstderr:\nerr\n"
        ),
        "{error}"
    );
    assert_eq!(shell("echo '{\"a\": 1}'").run()?.json()?["a"], 1);
    assert!(shell("echo no").run()?.json().is_err());
    // Reading nothing does not hold anybody up.
    shell("exit 0").stdin(much).run()?.exited(0)?;
    Ok(())
}

#[test]
fn too_long_is_an_error_and_the_end() -> Result {
    let running = shell("echo begun; exec sleep 1000")
        .env("PATH", "/usr/bin:/bin")
        .within(Duration::from_millis(300))
        .start()?;
    let pid = running.pid();
    let error = running.finish().unwrap_err().to_string();
    assert!(
        error.contains("has not ended after 0.3 s and was killed"),
        "{error}"
    );
    assert!(error.contains("begun"), "{error}");
    gone(pid);
    Ok(())
}

#[test]
fn what_is_dropped_is_killed() -> Result {
    let running = shell("exec sleep 1000")
        .env("PATH", "/usr/bin:/bin")
        .start()?;
    let pid = running.pid();
    drop(running);
    gone(pid);
    Ok(())
}

#[test]
fn signals_reach_it_and_its_lines_are_seen() -> Result {
    let script = "trap 'echo caught; exit 4' INT; echo ready >&2; while :; do sleep 0.05; done";
    let running = shell(script).env("PATH", "/usr/bin:/bin").start()?;
    running.wait_for_line(Output::Stderr, |line| line == "ready")?;
    running.signal(Signal::Interrupt);
    let done = running.finish()?.exited(4)?;
    assert_eq!(done.stdout, "caught\n");
    let error = shell("echo a")
        .start()?
        .wait_for_line(Output::Stdout, |line| line == "b");
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("did not write that line")
    );
    Ok(())
}

#[test]
fn a_program_that_is_not_there() {
    let error = Invocation::new("/no/such", "k".as_ref(), ["x"])
        .run()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot run `such x`: No such file"),
        "{error}"
    );
}

/// Waits until nobody has this process id. (Nobody else's is reused that fast.)
fn gone(pid: i32) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while rustix::process::Pid::from_raw(pid)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    {
        assert!(std::time::Instant::now() < deadline, "{pid} is still there");
        std::thread::yield_now();
    }
}
