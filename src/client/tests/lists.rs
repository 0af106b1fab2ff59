//! Lists: pages, restarts, and what a page must hold.

use serde::Deserialize;

use crate::client::scripted::{Exchange, Scripted};
use crate::client::{ClientError, ListRequest, Listed, PageSink};
use crate::event::Event;

const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Keeps the names of all objects.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    restarts: usize,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
}

impl PageSink for Names {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let page: Page = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let count = page.items.len();
        self.names
            .extend(page.items.into_iter().map(|item| item.name));
        Ok(count)
    }

    fn restart(&mut self) {
        self.names.clear();
        self.restarts += 1;
    }
}

fn pods(chunk_size: u32) -> ListRequest {
    ListRequest {
        version: "v1".to_owned(),
        plural: "pods".to_owned(),
        namespace: Some("shop".to_owned()),
        chunk_size,
        ..ListRequest::default()
    }
}

fn page(version: &str, next: &str, names: &[&str]) -> String {
    let items: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({ "name": name }))
        .collect();
    serde_json::json!({
        "kind": "PodList",
        "metadata": { "resourceVersion": version, "continue": next },
        "items": items,
    })
    .to_string()
}

async fn list(script: &Scripted, request: &ListRequest) -> (Result<Listed, ClientError>, Names) {
    let mut names = Names::default();
    let listed = script.client().list(request, &mut names).await;
    script.done();
    (listed, names)
}

#[tokio::test(start_paused = true)]
async fn pages_follow_each_other_to_the_end() {
    let script = Scripted::new([
        Exchange::get(format!("{PODS}?limit=2")).answer(200, page("9", "t/1=", &["a", "b"])),
        Exchange::get(format!("{PODS}?limit=2&continue=t%2F1%3D"))
            .answer(200, page("9", "t2", &["c", "d"])),
        Exchange::get(format!("{PODS}?limit=2&continue=t2")).answer(200, page("9", "", &["e"])),
    ]);
    let (listed, names) = list(&script, &pods(2)).await;
    assert_eq!(
        listed,
        Ok(Listed {
            resource_version: "9".to_owned(),
            count: 5,
            complete: true
        })
    );
    assert_eq!(names.names, ["a", "b", "c", "d", "e"]);
    let what = || "pods in shop".to_owned();
    let told: Vec<_> = script
        .events()
        .into_iter()
        .filter(|event| !matches!(event, Event::Request { .. }))
        .collect();
    assert_eq!(
        told,
        [
            Event::Listed {
                what: what(),
                count: 2
            },
            Event::Listed {
                what: what(),
                count: 4
            },
            Event::Finished {
                what: what(),
                count: 5
            },
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn selectors_and_the_metadata_form_are_asked_for() {
    let script = Scripted::new([Exchange::get(
        "/apis/networking.istio.io/v1/gateways?labelSelector=a%21%3Db&fieldSelector=status.phase%21%3DFailed",
    )
    .with_header("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    .answer(200, page("1", "", &[]))]);
    let request = ListRequest {
        group: "networking.istio.io".to_owned(),
        version: "v1".to_owned(),
        plural: "gateways".to_owned(),
        label_selector: Some("a!=b".to_owned()),
        field_selector: Some("status.phase!=Failed".to_owned()),
        metadata_only: true,
        ..ListRequest::default()
    };
    let (listed, _) = list(&script, &request).await;
    assert_eq!(listed.unwrap().count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_expires_between_pages_restarts_the_list_in_one_piece() {
    let script = Scripted::new([
        Exchange::get(format!("{PODS}?limit=2")).answer(200, page("9", "t1", &["a", "b"])),
        Exchange::get(format!("{PODS}?limit=2&continue=t1"))
            .refuse(410, "the provided continue parameter is too old"),
        Exchange::get(PODS).answer(200, page("12", "", &["b", "c", "d"])),
    ]);
    let (listed, names) = list(&script, &pods(2)).await;
    assert_eq!(
        listed,
        Ok(Listed {
            resource_version: "12".to_owned(),
            count: 3,
            complete: true
        })
    );
    assert_eq!(
        names.names,
        ["b", "c", "d"],
        "nothing of the first version is left"
    );
    assert_eq!(names.restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_first_page_is_an_error() {
    let script = Scripted::new([Exchange::get(format!("{PODS}?limit=2")).refuse(410, "gone")]);
    let (listed, names) = list(&script, &pods(2)).await;
    assert!(matches!(listed, Err(ClientError::Expired { .. })));
    assert_eq!(names.restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_in_the_middle_is_repeated_where_that_may_help() {
    let second = format!("{PODS}?limit=2&continue=t1");
    let script = Scripted::new([
        Exchange::get(format!("{PODS}?limit=2")).answer(200, page("9", "t1", &["a", "b"])),
        Exchange::get(&second).refuse(503, "busy"),
        Exchange::get(&second).break_off(),
        Exchange::get(&second).answer(200, page("9", "", &["c"])),
    ]);
    let (listed, names) = list(&script, &pods(2)).await;
    assert_eq!(listed.unwrap().count, 3);
    assert_eq!(names.names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_no_list_is_malformed() {
    for body in [
        "",
        "{}",
        "<html></html>",
        r#"{"metadata":{},"items":[{"name":1}]}"#,
        r#"{"metadata":{},"items":[{"#,
    ] {
        let script = Scripted::new([Exchange::get(PODS).answer(200, body)]);
        let (listed, _) = list(&script, &pods(0)).await;
        let error = listed.unwrap_err();
        assert!(
            matches!(error, ClientError::Malformed { .. }),
            "{body}: {error}"
        );
        assert!(error.to_string().contains("pods in shop"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_absent_kind_is_told_apart_from_an_empty_list() {
    let script = Scripted::new([Exchange::get(PODS).answer(404, "404 page not found\n")]);
    let (listed, _) = list(&script, &pods(0)).await;
    assert_eq!(
        listed.unwrap_err().to_string(),
        "cannot read pods in shop: 404 page not found"
    );
}
