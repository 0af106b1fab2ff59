//! Labels set on an object that is not ours: by a patch that no other change since overtakes.

use serde_json::{Map, Value, json};

use crate::client::{Client, ClientError, Target, Verb, WriteOptions};
use crate::error::Error;

/// How often the object is read anew when others change it, or when an answer is lost.
const ROUNDS: u32 = 5;

/// What became of a change of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelChange {
    /// They are set now.
    Made,
    /// They were so already.
    Already,
    /// The object is not there.
    Absent,
}

/// Gives labels of an object these values; `None` removes one.
///
/// `may` is asked each time the object is read, with its metadata: what it refuses is not written.
///
/// # Errors
/// When `may` refuses, or the object cannot be read or written.
pub async fn set_labels(
    client: &Client,
    target: &Target,
    labels: &[(&str, Option<&str>)],
    options: WriteOptions,
    may: &(dyn Fn(&Value) -> Result<(), Error> + Sync),
) -> Result<LabelChange, Error> {
    let mut last = ClientError::Changed {
        verb: Verb::Change,
        what: target.what(),
        message: "others change it again and again".to_owned(),
    };
    for _ in 0..ROUNDS {
        let Some(object) = client.read_object(target).await? else {
            return Ok(LabelChange::Absent);
        };
        let metadata = &object["metadata"];
        if labels
            .iter()
            .all(|(key, value)| metadata["labels"][*key].as_str() == *value)
        {
            return Ok(LabelChange::Already);
        }
        may(metadata)?;
        let wanted: Map<String, Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let patch = json!({ "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "labels": wanted,
        }});
        match client.merge_patch(target, &patch, options).await {
            Ok(_) => return Ok(LabelChange::Made),
            Err(error @ (ClientError::Changed { .. } | ClientError::Unknown { .. })) => {
                last = error;
            }
            Err(ClientError::NotFound { .. }) => return Ok(LabelChange::Absent),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted::{Exchange, Scripted};
    use crate::exit::Exit;

    const CART: &str = "/api/v1/namespaces/shop/services/cart";

    fn cart() -> Target {
        Target {
            version: "v1".to_owned(),
            plural: "services".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "cart".to_owned(),
            ..Target::default()
        }
    }

    fn found(version: &str, label: Option<&str>) -> Exchange {
        let body = json!({ "metadata": {
            "uid": "u", "resourceVersion": version, "labels": { "a": label },
        }});
        Exchange::get(CART).answer(200, body.to_string())
    }

    fn patch(words: &'static str) -> Exchange {
        Exchange::patch(format!(
            "{CART}?fieldManager=kubectl-ambient&fieldValidation=Strict"
        ))
        .with_body_containing(words)
    }

    async fn set(script: &Scripted, value: Option<&str>) -> Result<LabelChange, Error> {
        let options = WriteOptions::default();
        let labels = [("a", value)];
        let outcome = set_labels(&script.client(), &cart(), &labels, options, &|_| Ok(())).await;
        script.done();
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_in_between_is_read_again() {
        let script = Scripted::new([
            found("7", None),
            patch(r#""resourceVersion":"7""#).refuse(409, "modified"),
            found("8", None),
            patch(r#""resourceVersion":"8""#),
        ]);
        assert_eq!(set(&script, Some("b")).await, Ok(LabelChange::Made));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_looked_up() {
        let script = Scripted::new([
            found("7", Some("b")),
            patch(r#""labels":{"a":null}"#).break_off(),
            found("8", None),
        ]);
        assert_eq!(set(&script, None).await, Ok(LabelChange::Already));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_or_not_allowed_is_left_alone() {
        let script = Scripted::new([Exchange::get(CART).refuse(404, "gone")]);
        assert_eq!(set(&script, None).await, Ok(LabelChange::Absent));

        let script = Scripted::new([found("7", Some("c"))]);
        let no = Error::new(Exit::Negative, "no");
        let options = WriteOptions::default();
        let labels = [("a", Some("b"))];
        let refuse = |_: &Value| Err(no.clone());
        let outcome = set_labels(&script.client(), &cart(), &labels, options, &refuse).await;
        assert_eq!(outcome, Err(no.clone()));
        script.done();
    }
}
