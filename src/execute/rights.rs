//! The rights for all that will be written, asked for before anything is.

use futures_util::future::try_join_all;

use crate::client::{Access, AccessVerdict, Client, ClientError, Target};
use crate::error::Error;
use crate::exit::Exit;

/// The right to do something to an object.
pub fn access(verb: &str, target: &Target) -> Access {
    // Whoever may create may create any name: the server does not know it when it decides.
    let name = (verb != "create").then(|| target.name.clone());
    // A Namespace counts as in itself: a Role there gives rights to it
    // (`apiserver/pkg/endpoints/request/requestinfo.go`).
    let is_namespace = target.group.is_empty() && target.plural == "namespaces";
    let namespace = is_namespace.then(|| target.name.clone());
    Access {
        verb: verb.to_owned(),
        group: target.group.clone(),
        plural: target.plural.clone(),
        namespace: namespace.or_else(|| target.namespace.clone()),
        name,
    }
}

/// Asks for all of these rights and names those that are missing.
///
/// A server that answers no reviews is tried: it says no when it comes to it.
///
/// # Errors
/// When a right is missing, or the server cannot be reached.
pub async fn review(client: &Client, wanted: &[Access]) -> Result<(), Error> {
    let reviews = wanted
        .iter()
        .map(async |access| match client.can_i(access).await {
            Ok(AccessVerdict::Denied { reason }) => Ok(Some((access, reason))),
            Ok(AccessVerdict::Allowed)
            | Err(
                ClientError::Forbidden { .. }
                | ClientError::NotFound { .. }
                | ClientError::Server { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        });
    let denied: Vec<(&Access, String)> =
        try_join_all(reviews).await?.into_iter().flatten().collect();
    if denied.is_empty() {
        return Ok(());
    }
    let mut said: Vec<String> = denied.iter().map(|(access, _)| words(access)).collect();
    said.sort();
    said.dedup();
    let message = format!("no right to {}; nothing was changed", said.join(", to "));
    let mut error = Error::new(Exit::Forbidden, message);
    for (_, reason) in denied.into_iter().filter(|(_, reason)| !reason.is_empty()) {
        if !error.hints.contains(&reason) {
            error.hints.push(reason);
        }
    }
    Err(error.hint(
        "`kubectl auth whoami` shows who is asking, `kubectl auth can-i --list` what they may do",
    ))
}

/// `patch gateways.gateway.networking.k8s.io in shop`
fn words(access: &Access) -> String {
    let mut words = format!("{} {}", access.verb, access.plural);
    if !access.group.is_empty() {
        words.push('.');
        words.push_str(&access.group);
    }
    if let Some(namespace) = &access.namespace {
        words.push_str(" in ");
        words.push_str(namespace);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted::{Exchange, Scripted};

    const REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

    fn gateway() -> Target {
        Target {
            group: "gateway.networking.k8s.io".to_owned(),
            version: "v1".to_owned(),
            plural: "gateways".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "waypoint".to_owned(),
        }
    }

    #[test]
    fn a_namespace_counts_as_in_itself() {
        let shop = Target {
            group: String::new(),
            version: "v1".to_owned(),
            plural: "namespaces".to_owned(),
            namespace: None,
            name: "shop".to_owned(),
        };
        assert_eq!(access("patch", &shop).namespace.as_deref(), Some("shop"));
    }

    fn answer(verb: &'static str, allowed: bool) -> Exchange {
        let body = serde_json::json!({ "status": { "allowed": allowed } });
        Exchange::post(REVIEW)
            .with_body_containing(verb)
            .answer(201, body.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn every_missing_right_is_named() {
        let target = gateway();
        let wanted = [
            access("create", &target),
            access("patch", &target),
            access("delete", &target),
        ];
        let script = Scripted::new([
            answer(r#""create""#, false),
            answer(r#""patch""#, true),
            answer(r#""delete""#, false),
        ]);
        let error = review(&script.client(), &wanted).await.unwrap_err();
        assert_eq!(
            error.message,
            "no right to create gateways.gateway.networking.k8s.io in shop, to delete \
             gateways.gateway.networking.k8s.io in shop; nothing was changed"
        );
        assert_eq!(error.exit, Exit::Forbidden);
        script.done();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_without_reviews_is_tried() {
        let script = Scripted::new([Exchange::post(REVIEW).refuse(404, "not served")]);
        let wanted = [access("patch", &gateway())];
        assert_eq!(review(&script.client(), &wanted).await, Ok(()));
    }
}
