//! Delegates: VirtualServices without hosts, whose routes stand in another's
//! (`pilot/pkg/model/virtualservice.go`, `MergeHTTPRoutes`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::routes::{Defaults, full_name};
use super::select::{Export, Rule};
use super::table::Origin;
use crate::kinds::complete::virtual_service::{Delegate, Destination, HttpMatch, HttpRoute};
use crate::kinds::complete::{StringMatch, VirtualService};
use crate::kinds::path::field;
use crate::kinds::{Kind, ObjectRef};

/// VirtualServices without hosts, by namespace and name.
pub(super) type Delegates<'r> = HashMap<(&'r str, &'r str), &'r VirtualService>;

/// The routes that stand in the place of a route of `root`. A delegate that is missing, or not
/// exported to the root, has none; a route of it whose matches contradict the root's is left out.
pub(super) fn inlined<'r>(
    root: &VirtualService,
    route: &HttpRoute,
    delegate: &Delegate,
    delegates: &Delegates<'r>,
    domain: &str,
    defaults: &Defaults,
) -> Vec<Rule<'r>> {
    let namespace = if delegate.namespace.is_empty() {
        &*root.metadata.namespace
    } else {
        &delegate.namespace
    };
    let Some(object) = delegates.get(&(namespace, delegate.name.as_str())) else {
        return Vec::new();
    };
    let exports = if object.spec.export_to.is_empty() {
        &defaults.export_to
    } else {
        &object.spec.export_to
    };
    if !Export::of(exports, namespace).reaches(&root.metadata.namespace) {
        return Vec::new();
    }
    let mut above = route.clone();
    complete(&mut above, &root.metadata.namespace, domain);
    let mut rules = Vec::new();
    for (number, own) in object.spec.http.iter().enumerate() {
        let mut own = own.clone();
        complete(&mut own, namespace, domain);
        if let Some(merged) = merge(&above, own) {
            rules.push(Rule {
                route: Cow::Owned(merged),
                namespace: object.metadata.namespace.clone(),
                origin: Origin {
                    object: ObjectRef::new(
                        Kind::VirtualService,
                        &object.metadata.namespace,
                        &object.metadata.name,
                    ),
                    field: field!["spec", "http", number],
                },
                names_matches: false,
            });
        }
    }
    rules
}

/// Writes hosts in full, because the two namespaces complete them differently.
fn complete(route: &mut HttpRoute, namespace: &str, domain: &str) {
    let complete = |to: &mut Destination| to.host = full_name(&to.host, namespace, domain);
    route
        .route
        .iter_mut()
        .for_each(|way| complete(&mut way.destination));
    route.mirror.iter_mut().for_each(complete);
    route
        .mirrors
        .iter_mut()
        .for_each(|way| complete(&mut way.destination));
}

/// `mergeHTTPRoute`: what the delegate does not say, the root does.
fn merge(root: &HttpRoute, mut own: HttpRoute) -> Option<HttpRoute> {
    own.matches = merge_matches(&root.matches, own.matches)?;
    own.rewrite = own.rewrite.or_else(|| root.rewrite.clone());
    own.direct_response = own.direct_response.or_else(|| root.direct_response.clone());
    own.timeout = own.timeout.or(root.timeout);
    own.retries = own.retries.or_else(|| root.retries.clone());
    own.fault = own.fault.or_else(|| root.fault.clone());
    own.mirror = own.mirror.or_else(|| root.mirror.clone());
    own.mirror_percent = own.mirror_percent.or(root.mirror_percent);
    own.mirror_percent_old = own.mirror_percent_old.or(root.mirror_percent_old);
    own.mirror_percentage = own
        .mirror_percentage
        .or_else(|| root.mirror_percentage.clone());
    own.cors_policy = own.cors_policy.or_else(|| root.cors_policy.clone());
    own.headers = own.headers.or_else(|| root.headers.clone());
    if own.mirrors.is_empty() {
        own.mirrors.clone_from(&root.mirrors);
    }
    Some(own)
}

fn merge_matches(root: &[HttpMatch], own: Vec<HttpMatch>) -> Option<Vec<HttpMatch>> {
    if root.is_empty() {
        return Some(own);
    }
    if own.is_empty() {
        return Some(root.to_vec());
    }
    let mut merged = Vec::new();
    for own in &own {
        let before = merged.len();
        merged.extend(
            root.iter()
                .filter(|root| !conflict(root, own))
                .map(|root| merge_match(root, own)),
        );
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merge_match(root: &HttpMatch, own: &HttpMatch) -> HttpMatch {
    fn both<V: Clone>(a: &BTreeMap<String, V>, b: &BTreeMap<String, V>) -> BTreeMap<String, V> {
        let mut map = a.clone();
        map.extend(b.iter().map(|(key, value)| (key.clone(), value.clone())));
        map
    }
    let own = own.clone();
    HttpMatch {
        uri: own.uri.or_else(|| root.uri.clone()),
        scheme: own.scheme.or_else(|| root.scheme.clone()),
        method: own.method.or_else(|| root.method.clone()),
        authority: own.authority.or_else(|| root.authority.clone()),
        headers: both(&root.headers, &own.headers),
        without_headers: both(&root.without_headers, &own.without_headers),
        query_params: both(&root.query_params, &own.query_params),
        port: if own.port == 0 { root.port } else { own.port },
        source_labels: both(&root.source_labels, &own.source_labels),
        source_namespace: if own.source_namespace.is_empty() {
            root.source_namespace.clone()
        } else {
            own.source_namespace
        },
        gateways: if own.gateways.is_empty() {
            root.gateways.clone()
        } else {
            own.gateways
        },
        name: own.name,
        ignore_uri_case: own.ignore_uri_case,
        stat_prefix: own.stat_prefix,
    }
}

/// `hasConflict`: whether the delegate's match is not within the root's.
fn conflict(root: &HttpMatch, own: &HttpMatch) -> bool {
    let strings = [
        (&root.uri, &own.uri),
        (&root.scheme, &own.scheme),
        (&root.method, &own.method),
        (&root.authority, &own.authority),
    ];
    let maps = [
        (&root.headers, &own.headers),
        (&root.without_headers, &own.without_headers),
        (&root.query_params, &own.query_params),
    ];
    let gateways = !root.gateways.is_empty()
        && !own.gateways.is_empty()
        && (root.gateways.len() < own.gateways.len()
            || own
                .gateways
                .iter()
                .any(|name| !root.gateways.contains(name)));
    strings
        .iter()
        .any(|(root, own)| strings_conflict(root.as_ref(), own.as_ref()))
        || maps.iter().any(|(root, own)| {
            own.iter()
                .any(|(key, own)| strings_conflict(root.get(key), Some(own)))
        })
        || root.ignore_uri_case != own.ignore_uri_case
        || (root.port > 0 && own.port > 0 && root.port != own.port)
        || (!root.source_namespace.is_empty() && root.source_namespace != own.source_namespace)
        || own.source_labels.iter().any(|(key, value)| {
            root.source_labels
                .get(key)
                .is_some_and(|root| root != value)
        })
        || gateways
}

/// `stringMatchConflict`, in which an empty text counts as none.
fn strings_conflict(root: Option<&StringMatch>, own: Option<&StringMatch>) -> bool {
    use StringMatch::{Exact, Prefix, Regex};
    let (Some(root), Some(own)) = (root, own) else {
        return false;
    };
    let said = |text: &String| !text.is_empty();
    match (root, own) {
        (Regex(a), Regex(b) | Prefix(b) | Exact(b)) if said(a) && said(b) => true,
        (Prefix(a) | Exact(a), Regex(b)) if said(a) && said(b) => true,
        (Exact(a), Prefix(b)) if said(a) && said(b) => true,
        (Exact(a), Exact(b)) if said(a) => a != b,
        (Exact(a), _) if said(a) => true,
        (Prefix(a), Prefix(b) | Exact(b)) if said(a) && said(b) => !b.starts_with(a.as_str()),
        _ => true,
    }
}
