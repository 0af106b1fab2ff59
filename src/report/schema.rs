//! The JSON Schemas of the documents, made from the types that are serialised.
//!
//! They are shipped under `schemas/`. A document of a later version may have more properties than its schema
//! names, so a schema does not forbid them.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::waypoint::{WaypointChanges, WaypointList, WaypointStatus};
use super::{
    API_VERSION, CheckList, CheckPage, CheckReport, Conversion, HistoryReport, RunReport,
    StatusReport, VersionReport, WaypointPlanReport,
};

/// The schema of every document, by its `kind`. What `waypoint generate` and `rbac` print are objects of
/// Kubernetes and not documents of ours.
pub fn schemas() -> BTreeMap<&'static str, Schema> {
    BTreeMap::from([
        document::<CheckList>("CheckList"),
        document::<CheckPage>("CheckPage"),
        document::<CheckReport>("CheckReport"),
        document::<Conversion>("Conversion"),
        document::<HistoryReport>("History"),
        document::<RunReport>("Run"),
        document::<StatusReport>("Status"),
        document::<VersionReport>("Version"),
        document::<WaypointChanges>("WaypointChanges"),
        document::<WaypointList>("WaypointList"),
        document::<WaypointPlanReport>("WaypointPlan"),
        document::<WaypointStatus>("WaypointStatus"),
    ])
}

/// The schema of a type as it is written, draft 2020-12.
fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}

/// Gives a schema a name of its own, by which others refer to it. It is no address: nothing is fetched.
pub fn identified(mut schema: Schema, kind: &str) -> Schema {
    let version = API_VERSION.replace('/', ":");
    schema.insert("$id".to_owned(), json!(format!("urn:{version}:{kind}")));
    schema
}

fn document<T: JsonSchema>(kind: &'static str) -> (&'static str, Schema) {
    let mut schema = identified(written::<T>(), kind);
    schema.insert("title".to_owned(), json!(kind));
    for (property, value) in [("apiVersion", API_VERSION), ("kind", kind)] {
        if let Some(known) = schema.pointer_mut(&format!("/properties/{property}")) {
            *known = json!({ "const": value });
        }
    }
    (kind, schema)
}
