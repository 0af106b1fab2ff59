//! Files on top of a cluster (`-f … --overlay`).

use crate::inventory::{Inventory, InventoryBuilder};

/// What the cluster would hold if the files were applied to it: an object of the files takes the
/// place of the cluster's object of the same name. What could not be read of either stays unread.
pub fn overlay(files: InventoryBuilder, cluster: Inventory) -> Inventory {
    files.on_top_of(cluster).finish()
}
