//! Measures `check -A` against a real API server, beside its peers, and writes `docs/performance.md`.
//!
//! `make bench-cluster` starts the control plane of the tests, fills it with 10,000 pods, 2,000
//! workloads and 1,000 policies, and runs each contender in turn, several rounds of all of them, so
//! that what else the machine does falls on all alike. Nothing here passes or fails by a time.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod cluster {
    pub(crate) mod contender;
    pub(crate) mod loader;
    pub(crate) mod plain;
}
#[path = "mesh/generator.rs"]
mod generator;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Instant;

use cluster::contender::{self, Contender, Sample};
use cluster::{loader, plain};
use harness::ControlPlane;

/// Pods of the mesh; there is a workload for each five, and a policy for each ten.
const PODS: usize = 10_000;
/// Rounds of all contenders.
const ROUNDS: usize = 7;
/// What would change the pods while they are loaded or read, and costs time of its own.
const STOPPED: [&str; 3] = ["kube-controller-manager", "kube-scheduler", "kwok"];
/// Where the measured part of the page begins; all after it is written here.
const SECTION: &str = "## From a cluster\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo passes `--bench`; a list of requests is our own process.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    match arguments.next().as_deref() {
        None => {}
        Some("plain") => {
            let file = arguments.next().unwrap_or_default();
            return Ok(plain::read(Path::new(&file))?);
        }
        Some("sample") => return Ok(contender::sample(arguments)?),
        Some(word) => return Err(format!("{word}: plain or sample, or nothing").into()),
    }
    let plane = ControlPlane::start(&harness::Options::default())?;
    for component in STOPPED {
        plane.stop(component)?;
    }
    let start = Instant::now();
    let mut mesh = Vec::new();
    generator::write(PODS, &mut mesh)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let written = runtime.block_on(async {
        let client = client(&plane.up().kubeconfig).await?;
        loader::fill(&client, &String::from_utf8_lossy(&mesh)).await
    })?;
    let loaded = start.elapsed();
    drop(mesh);
    for part in &written {
        println!("{:>7} {}", part.objects, part.kind);
    }
    println!("written in {:.0} s", loaded.as_secs_f64());

    let own = Path::new(env!("CARGO_BIN_EXE_kubectl-ambient"));
    let requests = plane.up().state.join("requests.txt");
    let contenders = [
        Contender::new("`kubectl ambient check -A`", own, &["check", "-A"]),
        Contender::new(
            "plain paged GETs of the same lists",
            &std::env::current_exe()?,
            &["plain", &requests.to_string_lossy()],
        ),
        Contender::new(
            "`kubectl get pods -A`",
            &plane.up().kubectl,
            &["get", "pods", "-A"],
        ),
        Contender::new(
            "`istioctl analyze -A`",
            &plane.up().istioctl,
            &["analyze", "-A"],
        ),
        Contender::new(
            "`istioctl x precheck`",
            &plane.up().istioctl,
            &["x", "precheck"],
        ),
    ];
    // The first run tells which lists are read, and warms the server's caches for all.
    let log = contenders[0].told(&plane.up().kubeconfig, &["-v", "6"])?;
    std::fs::write(&requests, plain::requests(&log))?;
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            samples.push(contender.run(&plane.up().kubeconfig)?);
        }
    }
    let table = table(&contenders, &samples)?;
    print!("{table}");
    publish(&table, loaded.as_secs())?;
    Ok(())
}

async fn client(kubeconfig: &Path) -> io::Result<kube::Client> {
    let config = kube::config::Kubeconfig::read_from(kubeconfig).map_err(io::Error::other)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options)
        .await
        .map_err(io::Error::other)?;
    kube::Client::try_from(config).map_err(io::Error::other)
}

fn table(contenders: &[Contender], samples: &[Vec<Sample>]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("| | fastest | median | peak memory |\n|---|---|---|---|\n");
    for (contender, samples) in contenders.iter().zip(samples) {
        let mut times: Vec<f64> = samples.iter().map(|s| s.took.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let memory = samples.iter().map(|s| s.peak_kib).max().unwrap_or_default();
        writeln!(
            text,
            "| {} | {:.2} s | {:.2} s | {} MiB |",
            contender.name,
            times[0],
            times[times.len() / 2],
            memory / 1024,
        )?;
    }
    Ok(text)
}

/// Writes the section of the page that this program owns.
fn publish(table: &str, loaded: u64) -> io::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let text = std::fs::read_to_string(&page)?;
    let kept = text
        .split_once(SECTION)
        .map_or(text.as_str(), |(kept, _)| kept);
    let section = include_str!("cluster/section.md")
        .replace("{table}", table.trim_end())
        .replace("{rounds}", &ROUNDS.to_string())
        .replace("{loaded}", &loaded.to_string());
    std::fs::write(page, format!("{kept}{SECTION}\n{section}"))
}
