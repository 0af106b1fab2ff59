//! Routes and destinations.

use super::registry::checks;

checks! {}
