//! What changes the proxies themselves.

use super::registry::checks;

checks! {}
