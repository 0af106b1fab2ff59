//! Any text is split, and any field looked for, without a panic and without an end to the time it
//! takes. What comes out is JSON, and stands where it says.

#![no_main]

use kubectl_ambient::inventory::{Input, InventoryBuilder, text};
use kubectl_ambient::kinds::{FieldPath, Segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let lines = input.matches('\n').count() + 1;
    let split = text::split(input);
    for problem in split.problems.iter().chain(&split.others) {
        assert!(problem.line <= lines, "{problem:?}");
        assert!(
            problem.column > 0 && !problem.message.is_empty(),
            "{problem:?}"
        );
    }
    for object in &split.objects {
        assert!(
            input
                .get(object.range.clone())
                .is_some_and(|text| !text.is_empty())
        );
        let whole: serde_json::Value = serde_json::from_str(&object.json).expect("JSON");
        let mut path = Vec::new();
        visit(&whole, &mut path, &mut |path| {
            let place = text::locate(input, object.range.clone(), &FieldPath::new(path));
            assert!(place.0 <= lines && place.1 > 0);
        });
    }
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    let summary = builder.file("fuzz.yaml", input.to_owned());
    let inventory = builder.finish();
    assert!(summary.unread.is_none() || !inventory.unread.is_empty());
});

/// The first few fields of a value, a few levels down.
fn visit(value: &serde_json::Value, path: &mut Vec<Segment>, see: &mut dyn FnMut(&[Segment])) {
    see(path);
    if path.len() > 4 {
        return;
    }
    let fields: Vec<(Segment, &serde_json::Value)> = match value {
        serde_json::Value::Object(map) => map
            .iter()
            .map(|(key, value)| (Segment::from(key.as_str()), value))
            .collect(),
        serde_json::Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (Segment::from(index), value))
            .collect(),
        _ => Vec::new(),
    };
    for (segment, value) in fields.into_iter().take(4) {
        path.push(segment);
        visit(value, path, see);
        path.pop();
    }
}
