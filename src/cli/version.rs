//! `version`: of this program, of the API server and of Istio.

use clap::Args;

use super::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::mesh::Mesh;
use crate::report::VersionReport;

/// Print the versions of this program, the API server and Istio
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Print this program's version only; no cluster is asked
    #[arg(long)]
    client: bool,
}

pub(super) fn run(args: &VersionArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let client_version = env!("CARGO_PKG_VERSION");
    if args.client {
        context.answer(&VersionReport::new(client_version, None, None))?;
        return Ok(Exit::Ok);
    }
    match super::cluster::versions(context) {
        Ok(versions) => {
            let mesh = Mesh::new(versions.inventory);
            let kubernetes = Some(versions.kubernetes);
            let installation = Some(mesh.installation());
            context.answer(&VersionReport::new(
                client_version,
                kubernetes,
                installation,
            ))?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            // This program's version is known whatever the cluster says.
            context.answer(&VersionReport::new(client_version, None, None))?;
            Err(error)
        }
    }
}
