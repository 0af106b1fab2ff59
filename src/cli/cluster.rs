//! Reading a cluster for a command.

use super::Context;
use super::scope::ScopeArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::kinds::{KindSet, Name};

/// What was read of a cluster.
pub(super) struct Read {
    pub inventory: Inventory,
    pub namespaces: Vec<Name>,
    pub context: Option<String>,
}

pub(super) fn read(_: &ScopeArgs, _: KindSet, context: &Context<'_>) -> Result<Read, Error> {
    let _options = crate::client::ConnectOptions::from(context.connection);
    Err(Error::new(Exit::Unreachable, "cannot read a cluster yet"))
}
