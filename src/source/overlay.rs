//! Files on top of a cluster (`-f … --overlay`).

use crate::inventory::Inventory;

/// What the cluster would hold if the files were applied to it.
pub fn overlay(files: Inventory, cluster: Inventory) -> Inventory {
    files.on_top_of(cluster)
}
