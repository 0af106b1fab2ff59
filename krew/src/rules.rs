//! What krew asks of a manifest, by its documentation and its own validation
//! (`internal/index/validation` of sigs.k8s.io/krew).

use std::collections::BTreeSet;

use serde_json::Value;

/// Every rule that a manifest breaks, as sentences.
pub fn violations(manifest: &str) -> Vec<String> {
    let manifest: Value = match serde_saphyr::from_str(manifest) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("is no YAML: {error}")],
    };
    let mut broken = Vec::new();
    let mut hold = |holds: bool, rule: &str| {
        if !holds {
            broken.push(rule.to_owned());
        }
    };
    let text = |path: &str| {
        manifest
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    hold(
        text("/apiVersion") == "krew.googlecontainertools.github.com/v1alpha2",
        "apiVersion is krew's v1alpha2",
    );
    hold(text("/kind") == "Plugin", "kind is Plugin");
    let name = text("/metadata/name");
    hold(
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        "the name is of lower-case words and hyphens",
    );
    hold(is_version(text("/spec/version")), "the version is vX.Y.Z");
    hold(
        text("/spec/homepage").starts_with("https://"),
        "there is a homepage",
    );
    let short = text("/spec/shortDescription");
    hold(
        !short.is_empty() && short.len() <= 50 && !short.ends_with('.') && !short.contains('\n'),
        "the short description is a few words without a final stop",
    );
    hold(
        !text("/spec/description").is_empty(),
        "there is a description",
    );
    let platforms = manifest
        .pointer("/spec/platforms")
        .and_then(Value::as_array);
    let platforms = platforms.map_or(&[][..], Vec::as_slice);
    hold(!platforms.is_empty(), "there is a platform");
    let mut seen = BTreeSet::new();
    for platform in platforms {
        let os = platform["selector"]["matchLabels"]["os"]
            .as_str()
            .unwrap_or_default();
        let arch = platform["selector"]["matchLabels"]["arch"]
            .as_str()
            .unwrap_or_default();
        hold(
            ["linux", "darwin", "windows"].contains(&os) && ["amd64", "arm64"].contains(&arch),
            "a platform selects a known system and architecture",
        );
        hold(
            seen.insert((os.to_owned(), arch.to_owned())),
            "no platform stands twice",
        );
        of_platform(platform, os, &mut hold);
    }
    broken
}

fn of_platform(platform: &Value, os: &str, hold: &mut impl FnMut(bool, &str)) {
    let text = |key: &str| platform[key].as_str().unwrap_or_default();
    let address = text("uri");
    hold(address.starts_with("https://"), "an archive has an address");
    hold(address.ends_with(".tar.gz"), "an archive is .tar.gz");
    let sum = text("sha256");
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    hold(
        sum.len() == 64 && sum.chars().all(digit),
        "a checksum has 64 lower-case hexadecimal digits",
    );
    let bin = text("bin");
    hold(
        !bin.is_empty() && !bin.starts_with('/') && !bin.contains(".."),
        "bin is a path in the archive",
    );
    hold(
        (os == "windows") == bin.strip_suffix(".exe").is_some(),
        "programs of Windows, and only they, end in .exe",
    );
    // Without `files` everything is taken, and so the licence.
    if let Some(files) = platform.get("files") {
        let files = files.as_array().map_or(&[][..], Vec::as_slice);
        let whole = |file: &Value| !file["from"].is_null() && !file["to"].is_null();
        hold(
            !files.is_empty() && files.iter().all(whole),
            "files name from and to",
        );
    }
}

fn is_version(text: &str) -> bool {
    let Some(numbers) = text.strip_prefix('v') else {
        return false;
    };
    let release = numbers.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = release.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_breaks_rules_is_told_which() {
        let broken = violations("kind: Plugin\nspec: {version: 1.0, platforms: [{bin: ../x}]}");
        for rule in [
            "vX.Y.Z",
            "homepage",
            "checksum",
            "bin is a path",
            "known system",
        ] {
            assert!(
                broken.iter().any(|text| text.contains(rule)),
                "{rule}: {broken:?}"
            );
        }
        assert!(
            violations("{")
                .iter()
                .any(|text| text.starts_with("is no YAML"))
        );
    }
}
