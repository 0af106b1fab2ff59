//! An object of ours applied, and one deleted: to an outcome that is known.

use serde_json::Value;

use crate::client::{Client, ClientError, Deletion, Preconditions, Target, WriteOptions};

/// How often a write is repeated when its answer is lost. Applying twice is applying once.
const ROUNDS: u32 = 3;

/// What applying an object did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was not there.
    Created,
    /// It was there and is different now.
    Configured,
    /// It was so already.
    Unchanged,
}

/// Applies an object of ours (server-side apply) and says what that changed.
///
/// # Errors
/// As [`Client::apply`]; [`ClientError::Unknown`] only when the answer is lost again and again.
pub async fn apply_object(
    client: &Client,
    target: &Target,
    object: &Value,
    options: WriteOptions,
) -> Result<Applied, ClientError> {
    let before = client.read_object(target).await?;
    let mut round = 1;
    let after = loop {
        match client.apply(target, object, options).await {
            Err(ClientError::Unknown { .. }) if round < ROUNDS => round += 1,
            outcome => break outcome?,
        }
    };
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    Ok(match before {
        None => Applied::Created,
        Some(before) if version(&before) == version(&after) => Applied::Unchanged,
        Some(_) => Applied::Configured,
    })
}

/// Deletes an object if it is still this very one.
///
/// # Errors
/// As [`Client::delete`]; [`ClientError::Unknown`] only when the answer is lost again and again.
pub async fn delete_object(
    client: &Client,
    target: &Target,
    uid: &str,
    options: WriteOptions,
) -> Result<Deletion, ClientError> {
    let preconditions = Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    };
    let mut round = 1;
    loop {
        match client.delete(target, &preconditions, options).await {
            Err(error @ ClientError::Unknown { .. }) => {
                let found = client.read_object(target).await?;
                let there = found.is_some_and(|found| {
                    found["metadata"]["uid"].as_str() == Some(uid)
                        && found["metadata"]["deletionTimestamp"].is_null()
                });
                if !there {
                    return Ok(Deletion::Deleted);
                }
                if round == ROUNDS {
                    return Err(error);
                }
                round += 1;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted::{Exchange, Scripted};

    const MAP: &str = "/api/v1/namespaces/shop/configmaps/a";

    fn map() -> Target {
        Target {
            version: "v1".to_owned(),
            plural: "configmaps".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "a".to_owned(),
            ..Target::default()
        }
    }

    fn at(version: &str) -> String {
        serde_json::json!({ "metadata": { "uid": "u", "resourceVersion": version } }).to_string()
    }

    fn patch() -> Exchange {
        Exchange::patch(format!(
            "{MAP}?fieldManager=kubectl-ambient&fieldValidation=Strict"
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn what_applying_did_is_told_from_the_versions() {
        for (before, expected) in [
            (Exchange::get(MAP).refuse(404, "no"), Applied::Created),
            (Exchange::get(MAP).answer(200, at("7")), Applied::Configured),
            (Exchange::get(MAP).answer(200, at("8")), Applied::Unchanged),
        ] {
            let script = Scripted::new([
                before,
                // An answer that is lost is no reason to give up.
                patch().break_off(),
                patch().answer(200, at("8")),
            ]);
            let options = WriteOptions::default();
            let client = script.client();
            let applied = apply_object(&client, &map(), &Value::Null, options).await;
            assert_eq!(applied, Ok(expected));
            script.done();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_whose_answer_is_lost_is_looked_up() {
        let delete = || Exchange::delete(MAP).with_body_containing(r#""uid":"u""#);
        let gone = [
            delete().break_off(),
            Exchange::get(MAP).answer(200, at("7")),
            delete().break_off(),
            Exchange::get(MAP).refuse(404, "no"),
        ];
        let script = Scripted::new(gone);
        let options = WriteOptions::default();
        let deleted = delete_object(&script.client(), &map(), "u", options).await;
        assert_eq!(deleted, Ok(Deletion::Deleted));
        script.done();
    }
}
