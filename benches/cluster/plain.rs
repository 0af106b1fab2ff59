//! The least that reading the same lists can take: paged GETs whose answers are dropped.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use futures_util::future::try_join_all;
use http::Request;

/// Answers that come as the objects' metadata, as the program asks for them.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// Resources that the program reads so.
const METADATA_ONLY: [&str; 2] = ["/pods", "/customresourcedefinitions"];

/// The lists in what `-v 6` tells, one a line, sorted: how many pages were read, and path and query of
/// the first.
pub(crate) fn requests(log: &str) -> String {
    let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
    let targets = log
        .lines()
        .filter_map(|line| line.strip_prefix("GET https://"))
        .filter_map(|rest| rest.split(' ').next())
        .filter_map(|url| url.find('/').map(|slash| &url[slash..]))
        .filter(|target| target.contains("limit="));
    for target in targets {
        let first = target.split("&continue=").next().unwrap_or(target);
        *lists.entry(first).or_default() += 1;
    }
    let lines = lists.iter().map(|(list, pages)| format!("{pages} {list}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads all lists of a file that [`requests`] wrote, all at once, and drops what comes.
///
/// # Errors
/// When a list cannot be read, or the file is not of that form.
pub(crate) fn read(file: &Path) -> io::Result<()> {
    let requests = std::fs::read_to_string(file)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let client = kube::Client::try_default()
                .await
                .map_err(io::Error::other)?;
            let lists = requests.lines().filter_map(|line| line.split_once(' '));
            let lists = lists.map(|(pages, target)| {
                let pages = pages.parse().map_err(io::Error::other);
                let client = &client;
                async move { list(client, target, pages?).await }
            });
            try_join_all(lists).await?;
            Ok(())
        })
}

async fn list(client: &kube::Client, target: &str, pages: usize) -> io::Result<()> {
    let resource = target.split('?').next().unwrap_or_default();
    let accept = if METADATA_ONLY.iter().any(|end| resource.ends_with(end)) {
        METADATA
    } else {
        "application/json"
    };
    let mut next = String::new();
    for _ in 0..pages {
        let request = Request::get(format!("{target}{next}"))
            .header("accept", accept)
            .body(Vec::new())
            .map_err(io::Error::other)?;
        let body = client
            .request_text(request)
            .await
            .map_err(io::Error::other)?;
        match token(&body) {
            Some(token) => next = format!("&continue={token}"),
            None => break,
        }
    }
    Ok(())
}

/// The token of the next page. The server writes a list's metadata first, but for custom resources,
/// where it stands last.
fn token(body: &str) -> Option<&str> {
    const KEY: &str = "\"continue\":\"";
    let near = |text: &'_ str| text.find(KEY).map(|at| at + KEY.len());
    let mut head = body.len().min(600);
    while !body.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = body.len().saturating_sub(600);
    while !body.is_char_boundary(tail) {
        tail += 1;
    }
    let at = near(&body[..head]).or_else(|| near(&body[tail..]).map(|at| at + tail))?;
    let token = &body[at..];
    token
        .find('"')
        .map(|end| &token[..end])
        .filter(|token| !token.is_empty())
}
