//! krew's manifest, from the template that the release bot fills as well.

use std::collections::BTreeMap;

use crate::Error;

/// The template, with the bot's two marks: the version, and the address and checksum of an archive.
pub const TEMPLATE: &str = include_str!("../ambient.yaml");

const VERSION: &str = "{{ .TagName }}";
const ADDRESS: &str = "{{addURIAndSha \"";
const PLATFORM: &str = "  - selector:";

/// The manifest of a version; platforms whose archive has no checksum are left out.
///
/// # Errors
/// When the template is not as expected.
pub fn fill(version: &str, checksums: &BTreeMap<String, String>) -> Result<String, Error> {
    let mut parts = TEMPLATE.split(PLATFORM);
    let head = parts.next().unwrap_or_default();
    let mut out = head.replace(VERSION, version);
    for part in parts {
        let line = part
            .lines()
            .find(|line| line.contains(ADDRESS))
            .ok_or("a platform of the template has no address")?;
        let (indent, rest) = line.split_once(ADDRESS).ok_or("no address")?;
        let address = rest.split('"').next().unwrap_or_default();
        let address = address.replace(VERSION, version);
        let archive = address.rsplit('/').next().unwrap_or_default();
        let Some(checksum) = checksums.get(archive) else {
            continue;
        };
        // In quotes, for there are checksums that YAML would take for a number.
        let filled = format!("{indent}uri: {address}\n{indent}sha256: \"{checksum}\"");
        out.push_str(PLATFORM);
        out.push_str(&part.replace(line, &filled));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PLATFORMS;
    use crate::rules::violations;

    fn checksums() -> BTreeMap<String, String> {
        let sums = PLATFORMS.iter().zip(b'0'..);
        sums.map(|(platform, digit)| {
            (
                platform.archive(),
                String::from(char::from(digit)).repeat(64),
            )
        })
        .collect()
    }

    #[test]
    fn a_release_has_all_six_platforms_and_keeps_the_rules() {
        let manifest = fill("v1.2.3", &checksums()).unwrap();
        assert_eq!(violations(&manifest), Vec::<String>::new());
        assert_eq!(manifest.matches("sha256: ").count(), PLATFORMS.len());
        for platform in PLATFORMS {
            let address = format!("/v1.2.3/{}\n", platform.archive());
            assert!(manifest.contains(&address), "{address}");
        }
        assert!(!manifest.contains("{{"));
    }

    #[test]
    fn what_was_not_built_is_left_out() {
        let mut some = checksums();
        some.retain(|archive, _| archive.contains("linux_amd64"));
        let manifest = fill("v1.2.3", &some).unwrap();
        assert_eq!(violations(&manifest), Vec::<String>::new());
        assert_eq!(manifest.matches("bin: ").count(), 1);
    }
}
