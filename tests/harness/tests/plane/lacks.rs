//! A control plane without one part fails exactly the probes that stand on that part. Each of these
//! control planes is ended in another way, and nothing is left of any.

use std::time::Duration;

use harness::{ControlPlane, Invocation, Output, Part, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::left::Watched;
use crate::probes::PROBES;
use crate::{alone, ends, options};

/// The probes that fail, and none may fail for another reason than a state that does not come.
fn failing(plane: &ControlPlane) -> Vec<&'static str> {
    std::thread::scope(|scope| {
        let probes = PROBES.map(|(name, probe)| (name, scope.spawn(move || probe(plane))));
        let failed = probes.into_iter().filter_map(|(name, probe)| {
            let error = probe.join().unwrap().err()?;
            let text = error.to_string();
            let expected = ["waited 15 s", "expected", "was taken"];
            assert!(
                expected.iter().any(|words| text.contains(words)),
                "{name}: {text}"
            );
            Some(name)
        });
        failed.collect()
    })
}

fn signal(plane: &ControlPlane, signal: Signal) {
    let pid = i32::try_from(plane.launcher().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn without_injection_and_its_input_closed() -> Result {
    let _alone = alone();
    let plane = ControlPlane::start(&options().without(Part::Injection))?;
    assert_eq!(
        failing(&plane),
        ["injects native sidecars", "injects classic sidecars"]
    );
    let watched = Watched::of(plane.up());
    drop(plane);
    watched.is_gone()
}

#[test]
fn without_validation_and_terminated() -> Result {
    let _alone = alone();
    let plane = ControlPlane::start(&options().without(Part::Validation))?;
    assert_eq!(failing(&plane), ["refuses broken objects"]);
    let watched = Watched::of(plane.up());
    signal(&plane, Signal::TERM);
    watched.is_gone()
}

#[test]
fn without_ambient_and_killed() -> Result {
    let _alone = alone();
    let plane = ControlPlane::start(&options().without(Part::Ambient))?;
    assert_eq!(
        failing(&plane),
        [
            "programs waypoints",
            "writes conditions of policies",
            "marks ambient pods"
        ]
    );
    let watched = Watched::of(plane.up());
    signal(&plane, Signal::KILL);
    // Nobody was there to remove its files; the next start does.
    watched.has_ended()?;
    ends::sweep()?;
    watched.is_gone()
}

/// Not a test: the test process that is killed below. It holds a control plane up until then.
#[test]
fn test_process() -> Result {
    if std::env::var_os("HARNESS_TEST_PROCESS").is_none() {
        return Ok(());
    }
    let plane = ControlPlane::start(&options().without(Part::StandIn))?;
    println(&serde_json::to_string(plane.up()).unwrap());
    loop {
        std::thread::park();
    }
}

#[expect(clippy::print_stdout, reason = "what the test process tells")]
fn println(line: &str) {
    println!("\n{line}");
}

#[test]
fn without_the_stand_in_and_its_test_process_killed() -> Result {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "lacks::test_process", "--nocapture"];
    let running = Invocation::new(program, "none".as_ref(), arguments)
        .env("HARNESS_TEST_PROCESS", "1")
        .env(
            "KUBECTL_AMBIENT_TESTBED",
            options().launcher().parent().unwrap(),
        )
        .env("TMPDIR", std::env::temp_dir())
        .within(Duration::from_secs(300))
        .start()?;
    let line = running.wait_for_line(Output::Stdout, |line| line.starts_with('{'))?;
    let file = folder.path().join("up");
    std::fs::write(&file, line).unwrap();
    let plane = ControlPlane::reuse(&file, &options())?;
    assert_eq!(failing(&plane), ["marks ambient pods"]);
    let watched = Watched::of(plane.up());
    running.signal(harness::Signal::Kill);
    assert_eq!(running.finish()?.signal(), Some(9));
    watched.is_gone()
}
