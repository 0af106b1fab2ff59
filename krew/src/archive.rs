//! Archives that are the same for the same content: sorted, without times, owners and names of users.

use std::io::Read as _;
use std::path::{Component, Path};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// Whether it can be run.
    pub program: bool,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Packs files, sorted by path.
///
/// # Errors
/// When a path does not fit.
pub fn pack(mut entries: Vec<Entry>, level: u32) -> Result<Vec<u8>, Error> {
    const RUN: u32 = 0o755;
    const READ: u32 = 0o644;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let gzip = GzBuilder::new().write(Vec::new(), Compression::new(level));
    let mut tar = tar::Builder::new(gzip);
    for entry in &entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.content.len() as u64);
        header.set_mode(if entry.program { RUN } else { READ });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, &entry.path, entry.content.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// Unpacks an archive the way krew does: folders and plain files only, and nothing outside.
///
/// # Errors
/// When there is something in it that krew refuses.
pub fn unpack(archive: &[u8], into: &Path) -> Result<Vec<String>, Error> {
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    let mut paths = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(format!("{} leads out of the archive", path.display()).into());
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            std::fs::create_dir_all(into.join(&path))?;
            continue;
        }
        if !kind.is_file() {
            return Err(format!("{} is neither a file nor a folder", path.display()).into());
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let to = into.join(&path);
        std::fs::create_dir_all(to.parent().unwrap_or(into))?;
        std::fs::write(&to, content)?;
        set_mode(&to, entry.header().mode()?)?;
        paths.push(path.to_string_lossy().into_owned());
    }
    Ok(paths)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub fn checksum(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, program: bool) -> Entry {
        Entry {
            path: path.to_owned(),
            program,
            content: path.as_bytes().repeat(100),
        }
    }

    #[test]
    fn the_order_of_files_does_not_matter() {
        let one = pack(vec![entry("LICENSE", false), entry("a", true)], 9).unwrap();
        let other = pack(vec![entry("a", true), entry("LICENSE", false)], 9).unwrap();
        assert_eq!(checksum(&one), checksum(&other));
    }

    #[test]
    fn checksums_are_those_of_everybody() {
        assert_eq!(
            checksum(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
