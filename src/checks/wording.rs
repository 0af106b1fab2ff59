//! Words that findings of several areas share.

use crate::kinds::ObjectRef;

/// Objects of one namespace in words: `Service/cart`, `Service/cart and 3 more`.
pub fn first_and_more<'o>(objects: impl IntoIterator<Item = &'o ObjectRef>) -> String {
    let mut objects = objects.into_iter();
    match (objects.next(), objects.count()) {
        (None, _) => "nothing".to_owned(),
        (Some(first), 0) => first.short(),
        (Some(first), more) => format!("{} and {more} more", first.short()),
    }
}

/// Words in a row: `v1`, `v1 and v2`, `v1, v2 and v3`.
pub fn words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
