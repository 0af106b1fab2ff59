//! How the move can be carried out.

use super::registry::checks;

checks! {}
