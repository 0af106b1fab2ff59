//! What the proxies do with a request: pure functions over the parts of policies and routes.

pub mod authorization;
pub mod compare;
pub mod identity;
pub mod language;
pub mod network;
pub mod routing;
pub mod verdict;
