//! Istio's installation and the cluster.

use super::registry::checks;

checks! {}
