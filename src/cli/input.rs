//! From the scope's flags to a mesh and the namespaces in question.

use super::Context;
use super::scope::ScopeArgs;
use crate::checks::Scope;
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::kinds::{Kind, KindSet, Name};
use crate::mesh::Mesh;
use crate::report::{OpenRunEntry, bundle};
use crate::source;
use crate::translate;

/// What was read, and what is in question.
pub(super) struct Loaded {
    pub mesh: Mesh,
    pub scope: Scope,
    /// The kubeconfig's context, for a live cluster.
    pub context: Option<String>,
    /// Runs of these namespaces that are not over.
    pub open_runs: Vec<OpenRunEntry>,
}

/// Which namespaces are meant when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// Those in which something may be injected.
    Injected,
    /// Those too in whose files a move has left its mark.
    Moving,
    /// All.
    All,
}

/// Reads what the flags name. `kinds` are those that the command asks of a cluster.
pub(super) fn load(
    args: &ScopeArgs,
    kinds: KindSet,
    unnamed: Unnamed,
    context: &Context<'_>,
) -> Result<Loaded, Error> {
    load_kept(args, (kinds, KindSet::EMPTY), true, unnamed, context)
}

/// The same for a command that writes objects: of the kinds `whole` all fields are kept.
pub(super) fn load_whole(
    args: &ScopeArgs,
    kinds: KindSet,
    whole: KindSet,
    unnamed: Unnamed,
    context: &Context<'_>,
) -> Result<Loaded, Error> {
    load_kept(args, (kinds, whole), false, unnamed, context)
}

fn load_kept(
    args: &ScopeArgs,
    kinds: (KindSet, KindSet),
    journals: bool,
    unnamed: Unnamed,
    context: &Context<'_>,
) -> Result<Loaded, Error> {
    let Some(path) = &args.debug_bundle else {
        return read(args, kinds, journals, unnamed, context);
    };
    // Before a cluster is read for nothing.
    source::tree::is_free(path)?;
    let all = KindSet::of(Kind::ALL);
    let loaded = read(args, (kinds.0, all), journals, unnamed, context)?;
    let text = bundle(loaded.mesh.inventory(), &loaded.scope);
    source::tree::create_private(path, &text)?;
    context.ui.note(&format!(
        "what was read is in {}; read it before you pass it on",
        path.display()
    ));
    Ok(loaded)
}

fn read(
    args: &ScopeArgs,
    kinds: (KindSet, KindSet),
    journals: bool,
    unnamed: Unnamed,
    context: &Context<'_>,
) -> Result<Loaded, Error> {
    if args.filename.is_empty() || args.overlay {
        return cluster(args, kinds, journals, unnamed, context);
    }
    let default_namespace = args.namespace.first().map_or("default", String::as_str);
    let inventory = files(args, default_namespace)?;
    let mesh = Mesh::new(inventory);
    let scope = of_files(args, &mesh, unnamed)?;
    Ok(Loaded {
        mesh,
        scope,
        context: None,
        open_runs: Vec::new(),
    })
}

fn files(args: &ScopeArgs, default_namespace: &str) -> Result<Inventory, Error> {
    source::manifests::read(
        &args.filename,
        args.recursive,
        default_namespace,
        std::io::stdin(),
    )
}

fn of_files(args: &ScopeArgs, mesh: &Mesh, unnamed: Unnamed) -> Result<Scope, Error> {
    for name in &args.namespace {
        if mesh.namespace(name).is_none() {
            return Err(Error::new(
                Exit::Data,
                format!("cannot judge namespace {name}: the manifests hold nothing in it"),
            )
            .hint("without -n, every namespace in the files is judged"));
        }
    }
    Ok(if !args.namespace.is_empty() {
        Scope::of(args.namespace.iter().map(|name| Name::from(name.as_str())))
    } else if args.all_namespaces || unnamed == Unnamed::All {
        Scope::of(mesh.namespaces().map(|namespace| namespace.name.clone()))
    } else if unnamed == Unnamed::Moving {
        let injected = Scope::injected(mesh);
        Scope::of(injected.iter().cloned().chain(translate::begun(mesh)))
    } else {
        Scope::injected(mesh)
    })
}

/// Reads a cluster and, where files are named as well, puts them on top of it.
fn cluster(
    args: &ScopeArgs,
    (kinds, whole): (KindSet, KindSet),
    journals: bool,
    unnamed: Unnamed,
    context: &Context<'_>,
) -> Result<Loaded, Error> {
    let session = super::cluster::read(args, kinds, whole, journals, context)?;
    if journals && session.read.journals.is_none() {
        context
            .ui
            .note("whether a run is open was not seen: no right to list configmaps");
    }
    for kept in session.read.journals.iter().flatten() {
        if let Err(damage) = &kept.journal {
            let (run, namespace) = (&kept.run, &kept.namespace);
            context.ui.note(&format!(
                "run {run} of {namespace} may not be over: its journal cannot be read: {damage}"
            ));
        }
    }
    let journals = session.read.journals.iter().flatten();
    let open_runs = journals
        .filter_map(|kept| OpenRunEntry::of(kept.journal.as_ref().ok()?))
        .collect();
    let mut inventory = session.read.inventory;
    if !args.filename.is_empty() {
        let namespaces = &session.read.namespaces;
        let default_namespace = namespaces.first().map_or("default", |name| name);
        inventory = source::overlay(files(args, default_namespace)?, inventory);
    }
    let mesh = Mesh::new(inventory);
    let scope = if args.all_namespaces && unnamed != Unnamed::All {
        Scope::injected(&mesh)
    } else {
        Scope::of(session.read.namespaces)
    };
    Ok(Loaded {
        mesh,
        scope,
        context: session.context,
        open_runs,
    })
}
