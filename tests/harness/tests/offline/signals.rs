//! Signals at chosen requests, to a client that is a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::fault::{Fault, FaultProxy, Moment, When};
use harness::{Cluster, Done, Invocation, Output, Result, Signal};
use serde_json::json;

use crate::fake_api::FakeApi;

const WRITES: u32 = 5;

/// Not a test: what the tests below start. It writes five times and tells each time that it has.
#[test]
fn client() -> Result {
    let Some(kubeconfig) = std::env::var_os("HARNESS_TEST_CLIENT") else {
        return Ok(());
    };
    let cluster = Cluster::of(kubeconfig)?;
    for n in 1..=WRITES {
        let data = json!({"data": {"n": n}});
        cluster.patch("ConfigMap", "shop", "counter", &data)?;
        println(n);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the client's answer")]
fn println(n: u32) {
    println!("wrote {n}");
}

fn run(proxy: &FaultProxy) -> Result<Done> {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "signals::client", "--nocapture"];
    Invocation::new(program, proxy.kubeconfig(), arguments)
        .env("HARNESS_TEST_CLIENT", proxy.kubeconfig())
        .through(proxy)
        .run()
}

/// What the client was told, and what the server has.
fn counted(done: &Done, api: &FakeApi) -> (u64, u64) {
    let told = done.stdout.lines().filter(|line| line.contains("wrote"));
    let stored = api.object("configmaps", "shop", "counter");
    let stored = stored.and_then(|object| object["data"]["n"].as_u64());
    (told.count() as u64, stored.unwrap_or(0))
}

#[test]
fn a_client_is_killed_around_its_nth_write() -> Result {
    for (moment, told, stored) in [
        (Moment::Before, 2, 2),
        // Written, and the client never learnt it.
        (Moment::Applied, 2, 3),
    ] {
        let api = FakeApi::start();
        let proxy = FaultProxy::start(&api.kubeconfig())?;
        let rule = proxy.rule(When::write().nth(3), Fault::signal(Signal::Kill, moment));
        let done = run(&proxy)?;
        assert_eq!(done.signal(), Some(9), "{done}");
        assert_eq!(counted(&done, &api), (told, stored), "{moment:?}");
        assert_eq!(rule.done(), 1);
    }
    Ok(())
}

#[test]
fn a_client_is_signalled_when_it_has_its_answer() -> Result {
    for (signal, number) in [
        (Signal::Interrupt, 2),
        (Signal::Terminate, 15),
        (Signal::Kill, 9),
    ] {
        let api = FakeApi::start();
        let proxy = FaultProxy::start(&api.kubeconfig())?;
        proxy.rule(
            When::write().nth(3),
            Fault::signal(signal, Moment::Delivered),
        );
        // It may be quick, but does not get to write again.
        proxy.rule(
            When::write().from(4),
            Fault::stall(harness::fault::At::Request),
        );
        let done = run(&proxy)?;
        assert_eq!(done.signal(), Some(number), "{done}");
        let (_, stored) = counted(&done, &api);
        assert_eq!(stored, 3, "{signal:?}");
    }
    Ok(())
}

#[test]
fn anything_can_be_done_around_a_request() -> Result {
    let api = Arc::new(FakeApi::start());
    let proxy = FaultProxy::start(&api.kubeconfig())?;
    let seen = Arc::new(AtomicU32::new(0));
    for (n, moment) in [(1, Moment::Before), (2, Moment::Applied)] {
        let (api, seen) = (Arc::clone(&api), Arc::clone(&seen));
        let look = move || {
            let stored = api.object("configmaps", "shop", "counter");
            let stored = stored
                .and_then(|object| object["data"]["n"].as_u64())
                .unwrap_or(0);
            assert_eq!(stored, if n == 1 { 0 } else { 2 });
            seen.fetch_add(1, Ordering::Relaxed);
        };
        proxy.rule(When::write().nth(n), Fault::call(moment, look));
    }
    let done = run(&proxy)?.exited(0)?;
    assert_eq!(counted(&done, &api), (5, 5));
    assert_eq!(seen.load(Ordering::Relaxed), 2);
    Ok(())
}

#[test]
fn a_running_command_is_signalled_at_a_line() -> Result {
    let api = FakeApi::start();
    let proxy = FaultProxy::start(&api.kubeconfig())?;
    proxy.rule(
        When::write().from(3),
        Fault::stall(harness::fault::At::Request),
    );
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "signals::client", "--nocapture"];
    let running = Invocation::new(program, proxy.kubeconfig(), arguments)
        .env("HARNESS_TEST_CLIENT", proxy.kubeconfig())
        .through(&proxy)
        .start()?;
    running.wait_for_line(Output::Stdout, |line| line.contains("wrote 2"))?;
    running.signal(Signal::Terminate);
    let done = running.finish()?;
    assert_eq!(done.signal(), Some(15), "{done}");
    Ok(())
}
