//! Who is bound to a waypoint that is about to be deleted, in words.

use std::collections::BTreeSet;

use super::survey::{Depth, Missing, look};
use crate::client::{Client, ClientError};
use crate::kinds::ObjectRef;
use crate::waypoint::standing::{Standing, standings};

/// How many users are named; the others are counted.
const NAMED: usize = 5;

/// Why a waypoint cannot be deleted: who is bound to it, or who could not be looked at; and how it is deleted
/// later. Nothing when nobody is bound to it, or it is gone.
///
/// `except` are those of whom it is known that they will not be.
///
/// # Errors
/// When the server does not answer.
pub async fn users(
    client: &Client,
    gateway: &ObjectRef,
    except: &BTreeSet<&ObjectRef>,
) -> Result<Option<String>, ClientError> {
    let looked = look(client, Some(&gateway.namespace), Depth::Bound).await?;
    let standings = standings(&looked.survey);
    let standing = standings
        .iter()
        .find(|standing| standing.waypoint.object == *gateway);
    Ok(standing.and_then(|standing| in_words(standing, &looked.missing, except)))
}

/// What was found of a waypoint's users, in a sentence that follows its name.
fn in_words(
    standing: &Standing,
    missing: &[Missing],
    except: &BTreeSet<&ObjectRef>,
) -> Option<String> {
    let mut users: Vec<String> = standing
        .users
        .iter()
        .filter(|user| !except.contains(&user.object))
        .map(|user| user.object.to_string())
        .collect();
    users.dedup();
    let said = match (users.len(), missing) {
        (0, []) => return None,
        (0, [first, ..]) => {
            format!("may be used: {} cannot be seen ({})", first.gap, first.why)
        }
        (count, _) => {
            let more = match count.saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            users.truncate(NAMED);
            format!("is used by {}{more}", users.join(", "))
        }
    };
    let gateway = &standing.waypoint.object;
    Some(format!(
        "{said}; when nobody is: kubectl ambient waypoint delete {} -n {}",
        gateway.name, gateway.namespace
    ))
}

#[cfg(test)]
mod tests {
    use super::super::survey::Gap;
    use super::*;
    use crate::kinds::gateway_api::Gateway;
    use crate::kinds::{Kind, Labels, Name};
    use crate::waypoint::standing::{Found, Labelled, Survey};

    fn survey(users: &[(Kind, &str, &str)]) -> Survey {
        let gateway: Gateway = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "waypoint", "namespace": "shop"},
            "spec": {"gatewayClassName": "istio-waypoint"},
        }))
        .unwrap();
        let labels: Labels = serde_json::from_value(serde_json::json!({
            "istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "shop",
        }))
        .unwrap();
        let labelled = users.iter().map(|(kind, namespace, name)| Labelled {
            object: ObjectRef::new(*kind, &Name::from(*namespace), &Name::from(*name)),
            labels: labels.clone(),
            owner: None,
        });
        Survey {
            gateways: vec![Found {
                gateway,
                uid: "u".to_owned(),
                options: None,
            }],
            labelled: labelled.collect(),
            ..Survey::default()
        }
    }

    fn said(users: &[(Kind, &str, &str)], missing: &[Missing]) -> Option<String> {
        in_words(&standings(&survey(users))[0], missing, &BTreeSet::new())
    }

    #[test]
    fn whoever_is_bound_anywhere_is_named() {
        assert_eq!(said(&[], &[]), None);
        let two = [
            (Kind::Service, "bank", "ledger"),
            (Kind::Namespace, "", "bank"),
        ];
        let words = said(&two, &[]).unwrap();
        assert!(
            words.contains("Service/ledger -n bank") && words.contains("Namespace/bank"),
            "{words}"
        );
        assert!(words.ends_with("kubectl ambient waypoint delete waypoint -n shop"));
        let many: Vec<String> = (0..7).map(|n| format!("s{n}")).collect();
        let many: Vec<_> = many
            .iter()
            .map(|name| (Kind::Service, "bank", name.as_str()))
            .collect();
        assert!(said(&many, &[]).unwrap().contains("and 2 more"));
    }

    #[test]
    fn who_will_not_be_bound_then_does_not_count() {
        let standings = standings(&survey(&[
            (Kind::Service, "shop", "pay"),
            (Kind::Service, "bank", "ledger"),
        ]));
        let own = ObjectRef::new(Kind::Service, &Name::from("shop"), &Name::from("pay"));
        let words = in_words(&standings[0], &[], &BTreeSet::from([&own])).unwrap();
        assert!(
            words.starts_with("is used by Service/ledger -n bank;"),
            "{words}"
        );
    }

    #[test]
    fn who_cannot_be_seen_may_be_bound() {
        let missing = Missing {
            gap: Gap::Elsewhere(Kind::Service),
            why: "forbidden".to_owned(),
        };
        let words = said(&[], &[missing]).unwrap();
        assert!(words.contains("services of other namespaces"), "{words}");
    }
}
