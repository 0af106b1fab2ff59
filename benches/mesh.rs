//! Measures `check` on generated meshes: reading, facts, checks and report apart, and peak memory.
//!
//! `make bench` prints a table; `docs/performance.md` holds one. Each size runs in a process of its
//! own, because peak memory is a property of a process. Nothing here passes or fails by a time.
//! `cargo bench --bench mesh -- generate 10000` writes such a mesh to stdout, for a profiler.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "mesh/generator.rs"]
mod generator;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kubectl_ambient::checks::{Check, Scope, all, judge};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::report::CheckReport;
use kubectl_ambient::source::manifests;

/// Pods of the meshes that are measured.
const SIZES: [usize; 4] = [1_000, 5_000, 10_000, 50_000];
/// Runs of which the fastest counts.
const RUNS: usize = 5;

fn main() -> std::io::Result<()> {
    // Cargo passes `--bench`; a size is our own process.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    match (arguments.next(), arguments.next()) {
        (Some(word), Some(pods)) if word == "generate" => {
            let pods = pods.parse().map_err(std::io::Error::other)?;
            generator::write(pods, &mut std::io::stdout().lock())
        }
        (Some(word), Some(file)) if word == "measure" => {
            measure(Path::new(&file));
            Ok(())
        }
        _ => table(),
    }
}

fn table() -> std::io::Result<()> {
    println!(
        "| pods | file | read and parse | facts | checks | report | in all | peak memory | over the file |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let folder = std::env::temp_dir().join(format!("kubectl-ambient-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for pods in SIZES {
        let file = folder.join(format!("{pods}.json"));
        generator::write(pods, &mut BufWriter::new(File::create(&file)?))?;
        let mut best: Option<Vec<f64>> = None;
        for _ in 0..RUNS {
            let this = run(&file)?;
            best = Some(match best {
                None => this,
                Some(best) => best.iter().zip(&this).map(|(a, b)| a.min(*b)).collect(),
            });
        }
        let size = mib(std::fs::metadata(&file)?.len());
        let row = best.unwrap_or_default();
        println!(
            "| {pods} | {size:.0} MiB | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} MiB | {:.0} MiB |",
            row[0],
            row[1],
            row[2],
            row[3],
            row[..4].iter().sum::<f64>(),
            row[4],
            row[4] - size,
        );
        std::fs::remove_file(&file)?;
    }
    std::fs::remove_dir(&folder)?;
    help()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "files are smaller than 2^53 bytes"
)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn run(file: &Path) -> std::io::Result<Vec<f64>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("measure")
        .arg(file)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect())
}

fn measure(file: &Path) {
    let mut clock = Instant::now();
    let mut lap = || {
        let took = clock.elapsed().as_secs_f64() * 1000.0;
        clock = Instant::now();
        took
    };
    let inventory = manifests::read(&[file.to_owned()], false, "default", std::io::empty());
    let inventory = inventory.unwrap_or_else(|error| panic!("{error}"));
    let parsed = lap();
    let mesh = Mesh::new(inventory);
    let resolved = lap();
    let checks: Vec<&'static dyn Check> = all().collect();
    let scope = Scope::injected(&mesh);
    let judgement = judge(&mesh, &scope, &checks, false);
    let judged = lap();
    let report = CheckReport::new(&mesh, &scope, &judgement, None);
    let reported = lap();
    println!("{parsed} {resolved} {judged} {reported} {}", peak());
    // The report is kept alive up to here, so that its memory counts.
    assert!(
        report.unread.is_empty(),
        "the generated mesh is wholly read"
    );
}

/// Peak resident memory of this process in MiB, where the system tells.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn help() -> std::io::Result<()> {
    let program = env!("CARGO_BIN_EXE_kubectl-ambient");
    let mut best = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        Command::new(program).arg("--help").output()?;
        best = best.min(start.elapsed());
    }
    println!(
        "\n`--help`: {:.1} ms, the fastest of 50 starts",
        best.as_secs_f64() * 1000.0
    );
    Ok(())
}
