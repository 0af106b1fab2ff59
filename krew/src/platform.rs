//! The platforms that releases are for.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, PROGRAM};

/// A platform as krew names it, and what it is built as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// krew's `os`.
    pub os: &'static str,
    /// krew's `arch`.
    pub arch: &'static str,
    /// Rust's targets for it, best first.
    pub targets: &'static [&'static str],
}

/// All of them, in the order of the manifest. Linux is static: with musl or, where its standard
/// library cannot be had, with the GNU library linked into the program.
pub const PLATFORMS: [Platform; 6] = [
    Platform {
        os: "linux",
        arch: "amd64",
        targets: &["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"],
    },
    Platform {
        os: "linux",
        arch: "arm64",
        targets: &["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"],
    },
    Platform {
        os: "darwin",
        arch: "amd64",
        targets: &["x86_64-apple-darwin"],
    },
    Platform {
        os: "darwin",
        arch: "arm64",
        targets: &["aarch64-apple-darwin"],
    },
    Platform {
        os: "windows",
        arch: "amd64",
        targets: &["x86_64-pc-windows-msvc"],
    },
    Platform {
        os: "windows",
        arch: "arm64",
        targets: &["aarch64-pc-windows-msvc"],
    },
];

impl Platform {
    /// The platform that a target is for.
    pub fn of(target: &str) -> Option<Self> {
        PLATFORMS
            .into_iter()
            .find(|platform| platform.targets.contains(&target))
    }

    /// The program's file.
    pub fn program(&self) -> String {
        let ending = if self.os == "windows" { ".exe" } else { "" };
        format!("{PROGRAM}{ending}")
    }

    /// The archive's name.
    pub fn archive(&self) -> String {
        format!("{PROGRAM}_{}_{}.tar.gz", self.os, self.arch)
    }

    /// The name of the bill of materials.
    pub fn bill(&self) -> String {
        format!("{PROGRAM}_{}_{}.cdx.json", self.os, self.arch)
    }

    /// The first of its targets whose standard library is installed.
    ///
    /// # Errors
    /// When `rustc` cannot be run.
    pub fn installed(&self) -> Result<Option<&'static str>, Error> {
        for target in self.targets {
            let asked = Command::new("rustc")
                .args(["--print", "target-libdir", "--target", target])
                .output()?;
            let folder = String::from_utf8(asked.stdout)?;
            if asked.status.success() && Path::new(folder.trim()).is_dir() {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }
}

/// Builds the program for a target and says where it is. Paths of the machine are left out of it.
///
/// # Errors
/// When it cannot be built, or a program for Linux is not static.
pub fn build(root: &Path, target: &str, platform: Platform) -> Result<PathBuf, Error> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || {
            let user = std::env::var_os("HOME").unwrap_or_default();
            PathBuf::from(user).join(".cargo")
        },
        PathBuf::from,
    );
    let mut flags = vec![
        format!("--remap-path-prefix={}=.", root.display()),
        format!("--remap-path-prefix={}=cargo", home.display()),
    ];
    if platform.os != "darwin" {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    let built = Command::new("cargo")
        .args(["build", "--locked", "--package", PROGRAM, "--bin", PROGRAM])
        .args(["--profile", "dist", "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .current_dir(root)
        .status()?;
    if !built.success() {
        return Err(format!("cannot build for {target}").into());
    }
    let folder = root.join("target").join(target).join("dist");
    let program = folder.join(platform.program());
    if platform.os == "linux" && asks_for_an_interpreter(&std::fs::read(&program)?) {
        return Err(format!("{} is not static", program.display()).into());
    }
    Ok(program)
}

/// Whether an ELF file of 64 bits names the loader of shared libraries (`PT_INTERP`).
fn asks_for_an_interpreter(elf: &[u8]) -> bool {
    const HEADERS_AT: usize = 32;
    const SIZE_AT: usize = 54;
    const COUNT_AT: usize = 56;
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let bytes = elf.get(at..at + bytes)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |all, byte| (all << 8) | u64::from(*byte)),
        )
    };
    let headers = || {
        let first = number(HEADERS_AT, 8)?;
        let size = number(SIZE_AT, 2)?;
        let count = number(COUNT_AT, 2)?;
        Some((0..count).map(move |at| first + at * size))
    };
    headers().is_none_or(|mut headers| {
        headers.any(|at| {
            let at = usize::try_from(at).unwrap_or(usize::MAX - 4);
            number(at, 4).is_none_or(|kind| kind == PT_INTERP)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_off_is_not_taken_for_static() {
        assert!(asks_for_an_interpreter(b"\x7fELF"));
        let own = std::env::current_exe().unwrap();
        // The tests themselves are linked as the machine links.
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert!(asks_for_an_interpreter(&std::fs::read(own).unwrap()));
        }
    }

    #[test]
    fn every_target_belongs_to_one_platform() {
        for platform in PLATFORMS {
            for target in platform.targets {
                assert_eq!(Platform::of(target), Some(platform));
            }
        }
    }
}
