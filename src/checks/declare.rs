//! How an area declares its checks.

/// Declares the checks of an area: a module each, and the list of them in the order given.
macro_rules! checks {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The checks of this area, sorted by id.
        pub(super) static CHECKS: &[&'static dyn $crate::checks::Check] =
            &[$(&$module::CHECK),*];
    };
}
pub(super) use checks;
