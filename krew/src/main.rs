//! `dist`: builds what is shipped.
//!
//! Without an argument: every platform whose standard library is installed, and then the manifest.
//! With a target: this one alone. With `collect`: the manifest and the checksums of the archives that
//! are there, as the last job of a release does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dist::archive::{Entry, checksum, pack};
use dist::dependencies::Dependencies;
use dist::platform::{PLATFORMS, Platform, build};
use dist::{Error, manifest, rules};

/// Small archives, once a release.
const LEVEL: u32 = 9;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root
        .parent()
        .ok_or("this package stands in no repository")?;
    let asked = std::env::args().nth(1);
    match asked.as_deref() {
        Some("collect") => collect(root),
        Some(target) => {
            let platform = Platform::of(target).ok_or(format!("no release is for {target}"))?;
            ship(root, target, platform)
        }
        None => {
            for platform in PLATFORMS {
                match platform.installed()? {
                    Some(target) if can_link(platform) => ship(root, target, platform)?,
                    Some(target) => not_built(platform, &format!("no linker for {target}"))?,
                    None => {
                        let target = platform.targets[0];
                        not_built(
                            platform,
                            &format!("`rustup target add {target}` brings what is missing"),
                        )?;
                    }
                }
            }
            collect(root)
        }
    }
}

/// Whether this system's linker makes programs of a platform.
fn can_link(platform: Platform) -> bool {
    let own = match std::env::consts::OS {
        "macos" => "darwin",
        system => system,
    };
    platform.os == own
}

fn not_built(platform: Platform, why: &str) -> Result<(), Error> {
    say(&format!(
        "not built: {} {}: {why}",
        platform.os, platform.arch
    ))
}

fn say(text: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn folder(root: &Path) -> PathBuf {
    root.join("target").join("dist-archives")
}

/// Builds one platform's archive and its bill of materials.
fn ship(root: &Path, target: &str, platform: Platform) -> Result<(), Error> {
    let program = build(root, target, platform)?;
    let dependencies = Dependencies::read(root, target)?;
    let entry = |path: &str, program: bool, content: Vec<u8>| Entry {
        path: path.to_owned(),
        program,
        content,
    };
    let mut entries = vec![
        entry(&platform.program(), true, std::fs::read(program)?),
        entry("LICENSE", false, std::fs::read(root.join("LICENSE"))?),
        entry("THIRD_PARTY", false, dependencies.licences()?.into_bytes()),
    ];
    for (within, source) in [
        ("man", root.join("docs/man")),
        ("schemas", root.join("schemas")),
    ] {
        for file in std::fs::read_dir(source)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let content = std::fs::read(file.path())?;
            entries.push(entry(&format!("{within}/{name}"), false, content));
        }
    }
    let folder = folder(root);
    std::fs::create_dir_all(&folder)?;
    let packed = pack(entries, LEVEL)?;
    std::fs::write(folder.join(platform.archive()), &packed)?;
    let bill = serde_json::to_string_pretty(&dependencies.bill())? + "\n";
    std::fs::write(folder.join(platform.bill()), bill)?;
    let kib = packed.len() / 1024;
    say(&format!(
        "built: {} ({target}, {kib} KiB)",
        platform.archive()
    ))
}

/// Writes the checksums and the manifest of the archives that are there.
fn collect(root: &Path) -> Result<(), Error> {
    let folder = folder(root);
    let mut checksums = BTreeMap::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".tar.gz") || name.ends_with(".cdx.json") {
            checksums.insert(name, checksum(&std::fs::read(&path)?));
        }
    }
    let lines: Vec<String> = checksums
        .iter()
        .map(|(name, sum)| format!("{sum}  {name}"))
        .collect();
    std::fs::write(folder.join("SHA256SUMS"), lines.join("\n") + "\n")?;
    let version = format!(
        "v{}",
        Dependencies::read(root, PLATFORMS[0].targets[0])?.version
    );
    let manifest = manifest::fill(&version, &checksums)?;
    let broken = rules::violations(&manifest);
    if !broken.is_empty() {
        return Err(format!("krew would not take the manifest: {}", broken.join("; ")).into());
    }
    std::fs::write(root.join("plugin.yaml"), manifest)?;
    say(&format!(
        "plugin.yaml is {version} with {} archives",
        checksums
            .keys()
            .filter(|name| name.ends_with(".tar.gz"))
            .count()
    ))
}
