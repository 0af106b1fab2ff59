//! Objects that a kustomization patches: what stands in their file is not what is applied.

use std::collections::BTreeSet;

use serde_json::Value;

/// The kinds and names that the kustomizations among these files (name and text) patch. A patch may
/// stand in the kustomization itself, or in a file beside it.
pub fn patched_by_kustomize(files: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let mut patched = BTreeSet::new();
    for (name, text) in files {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        if !matches!(file, "kustomization.yaml" | "kustomization.yml") {
            continue;
        }
        let folder = &name[..name.len() - file.len()];
        let Ok(value) = serde_saphyr::from_str::<Value>(text) else {
            continue;
        };
        let beside = |path: &str| {
            let path = format!("{folder}{}", path.trim_start_matches("./"));
            let mut files = files.iter();
            files.find(|(name, _)| *name == path).map(|(_, text)| *text)
        };
        for field in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
            for patch in value[field].as_array().into_iter().flatten() {
                note(patch, &beside, &mut patched);
            }
        }
    }
    patched
}

fn note<'f>(
    patch: &Value,
    beside: &dyn Fn(&str) -> Option<&'f str>,
    patched: &mut BTreeSet<(String, String)>,
) {
    if let (Some(kind), Some(name)) = (text(patch, "/target/kind"), text(patch, "/target/name")) {
        patched.insert((kind, name));
        return;
    }
    let inline = patch["patch"].as_str();
    let path = patch.as_str().or_else(|| patch["path"].as_str());
    let body = inline.or_else(|| path.and_then(beside)).or(path);
    let Some(Ok(objects)) = body.map(serde_saphyr::from_multiple::<Value>) else {
        return;
    };
    for object in &objects {
        if let (Some(kind), Some(name)) = (text(object, "/kind"), text(object, "/metadata/name")) {
            patched.insert((kind, name));
        }
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}
