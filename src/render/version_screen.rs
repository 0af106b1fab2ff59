//! The screen of `version`.

use super::text::{Style, put};
use crate::report::VersionReport;

pub(super) fn render(report: &VersionReport, _style: &Style) -> String {
    let mut out = format!("client: {}\n", report.client_version);
    if let Some(server) = &report.kubernetes {
        put!(out, "kubernetes: {server}\n");
    }
    for plane in &report.control_planes {
        let version = plane.version.as_deref().unwrap_or("unknown");
        put!(
            out,
            "istiod: {version} ({} -n {}, revision {})\n",
            plane.name,
            plane.namespace,
            plane.revision
        );
    }
    out
}
