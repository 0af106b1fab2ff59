//! How the move can be carried out.

use super::declare::checks;

checks! {
    amb701_kept_by_another_tool,
    amb750_invalid_object,
    amb751_not_in_input,
}
