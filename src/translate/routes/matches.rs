//! Matches of a VirtualService in the forms of an HTTPRoute.

use std::collections::BTreeMap;

use super::form::{Demands, Field, LONGEST_PATH, Path, contains, escape, is_plain_path};
use super::obstacle::{Findings, Gravity, Obstacle, Spot};
use super::paths::{Wish, Written};
use crate::kinds::complete::StringMatch;
use crate::kinds::complete::virtual_service::HttpMatch;
use crate::semantics::language::{Bounds, Domain, Pattern, Predicate, cells};
use crate::translate::options::PathForm;
use crate::translate::{Topic, Weight};

/// The methods that an HTTPRoute can name (`HTTPMethod`).
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];
/// The longest names and values of headers and query parameters.
const LONGEST_NAME: usize = 256;
const LONGEST_HEADER: usize = 4096;
const LONGEST_PARAM: usize = 1024;

/// What is known where a match is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'s> {
    /// The port to which requests are sent.
    pub(super) port: u16,
    /// The values of `Host` with which clients reach it.
    pub(super) authorities: &'s [String],
    pub(super) paths: PathForm,
    /// Whether matches on who calls may be given up.
    pub(super) gives_up_callers: bool,
}

/// One alternative of a rule.
#[derive(Debug, Clone)]
pub(super) struct Alternative {
    pub(super) path: Written,
    pub(super) demands: Demands,
}

impl Setting<'_> {
    /// The alternatives that a match becomes; none where it takes no request here.
    pub(super) fn alternatives(
        &self,
        one: &HttpMatch,
        wish: &Wish,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Vec<Alternative> {
        if one.port != 0 && one.port != u32::from(self.port) {
            return Vec::new();
        }
        if !self.callers(one, spot, findings) || !self.fits_host(one, spot, findings) {
            return Vec::new();
        }
        without_counterpart(one, spot, findings);
        let Some(path) = self.path(one, wish, &spot.then("uri"), findings) else {
            return Vec::new();
        };
        let mut demands = Demands {
            method: None,
            headers: Vec::new(),
            params: fields(
                &one.query_params,
                &spot.then("queryParams"),
                LONGEST_PARAM,
                findings,
            ),
        };
        let mut method = one.method.clone();
        let mut headers = one.headers.clone();
        if let Some(pseudo) = headers.remove(":method")
            && method.is_none()
        {
            method = Some(pseudo);
        }
        headers.retain(|name, _| {
            let lower = name.to_ascii_lowercase();
            !matches!(lower.as_str(), ":authority" | "host")
        });
        demands.headers = fields(&headers, &spot.then("headers"), LONGEST_HEADER, findings);
        let Some(methods) = methods(method.as_ref(), &spot.then("method"), findings) else {
            return Vec::new();
        };
        let alternative = |method: Option<&str>| Alternative {
            path: path.clone(),
            demands: Demands {
                method: method.map(str::to_owned),
                ..demands.clone()
            },
        };
        methods.into_iter().map(alternative).collect()
    }

    /// Whether a match counts whoever calls. At gateways that a match names, sidecars do not ask who
    /// calls (`pilot/pkg/networking/core/route/route.go`, `sourceMatchHTTP`).
    fn callers(&self, one: &HttpMatch, spot: &Spot, findings: &mut Findings) -> bool {
        let asks = !one.source_labels.is_empty() || !one.source_namespace.is_empty();
        if !one.gateways.is_empty() {
            return one.gateways.iter().any(|name| name == "mesh");
        }
        if !asks {
            return true;
        }
        let field = if one.source_labels.is_empty() {
            "sourceNamespace"
        } else {
            "sourceLabels"
        };
        let gravity = if self.gives_up_callers {
            Gravity::Differs
        } else {
            Gravity::Nowhere
        };
        findings.meet(who_calls(&spot.then(field), gravity));
        false
    }

    /// Whether a match on the host holds for all names of the Service. One that holds for some only
    /// has no form.
    fn fits_host(&self, one: &HttpMatch, spot: &Spot, findings: &mut Findings) -> bool {
        let headers = one.headers.iter().filter(|(name, _)| {
            matches!(name.to_ascii_lowercase().as_str(), ":authority" | "host")
        });
        let mut wanted: Vec<(Spot, &StringMatch)> = headers
            .map(|(name, wanted)| (spot.then("headers").then(name.as_str()), wanted))
            .collect();
        wanted.extend(one.authority.iter().map(|m| (spot.then("authority"), m)));
        for (spot, wanted) in wanted {
            let field = Field::of("host", wanted);
            let answers: Vec<Option<bool>> = self
                .authorities
                .iter()
                .map(|name| contains(&field.pattern, name))
                .collect();
            if answers.iter().all(|answer| *answer == Some(true)) {
                findings.meet(spot.obstacle(
                    Gravity::Differs,
                    Topic::NoCounterpart,
                    "it holds for every name of the Service, and an HTTPRoute takes requests for other names too",
                ));
            } else if answers.iter().all(|answer| *answer == Some(false)) {
                findings.note(spot.note(
                    Topic::NoCounterpart,
                    Weight::Form,
                    "no name by which this Service is called matches, so that the match is left out",
                ));
                return false;
            } else {
                let obstacle = spot.obstacle(
                    Gravity::NoForm,
                    Topic::NoCounterpart,
                    "an HTTPRoute of a Service does not compare the host that the client asks for",
                );
                findings.meet(obstacle.remedy("give each name a Service of its own"));
            }
        }
        true
    }

    fn path(
        &self,
        one: &HttpMatch,
        wish: &Wish,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<Written> {
        let fold = one.ignore_uri_case;
        let path = match &one.uri {
            None | Some(StringMatch::Present) => return Some(wish.on_all(spot, findings)),
            Some(StringMatch::Prefix(text)) if text == "/" => {
                return Some(wish.on_all(spot, findings));
            }
            Some(StringMatch::Prefix(text)) if text.is_empty() => {
                let written = Written::plain(Path::all(), Pattern::any());
                return Some(wish.on_nothing(written, spot, findings));
            }
            Some(StringMatch::Prefix(text) | StringMatch::Exact(text))
                if !text.starts_with('/') =>
            {
                findings.note(spot.note(
                    Topic::Paths,
                    Weight::Form,
                    format!("no path begins with {text:?}, so that the match is left out"),
                ));
                return None;
            }
            Some(StringMatch::Prefix(text)) => {
                return self.prefix(text, fold, wish, spot, findings);
            }
            Some(StringMatch::Exact(text)) => {
                let pattern = Pattern::exact(text);
                if fold && pattern.clone().ignoring_case().ignores_case() {
                    let path = Path::Regex(format!("(?i){}", escape(text)));
                    Written::plain(path, pattern.ignoring_case())
                } else if is_plain_path(text) {
                    Written::plain(Path::Exact(text.clone()), pattern)
                } else {
                    Written::plain(Path::Regex(escape(text)), pattern)
                }
            }
            Some(StringMatch::Regex(text)) => regex(text),
        };
        check_length(&path.path, spot, findings);
        Some(wish.on_whole(path, spot, findings))
    }

    fn prefix(
        &self,
        text: &str,
        fold: bool,
        wish: &Wish,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<Written> {
        let pattern = Pattern::prefix(text);
        let bare = text.strip_suffix('/').unwrap_or(text);
        if fold && pattern.clone().ignoring_case().ignores_case() {
            let path = Path::Regex(format!("(?i){}.*", escape(text)));
            let written = Written::plain(path, pattern.ignoring_case());
            check_length(&written.path, spot, findings);
            return Some(wish.on_nothing(written, spot, findings));
        }
        if wish.replaces_prefix(text) {
            return wish.on_prefix(text, spot, findings);
        }
        let path = if self.paths == PathForm::Element && is_plain_path(bare) && bare != "/" {
            let says = if text.ends_with('/') {
                format!("{text} takes {bare} too, as a PathPrefix does")
            } else {
                format!(
                    "{text} takes {text} and what is below it, as a PathPrefix does, and no longer {text}x"
                )
            };
            findings.note(spot.note(Topic::Paths, Weight::Lossy, says));
            return Some(Written::plain(
                Path::Prefix(bare.to_owned()),
                Pattern::element(bare),
            ));
        } else {
            Path::Regex(format!("{}.*", escape(text)))
        };
        check_length(&path, spot, findings);
        let mut written = Written::plain(path, pattern);
        if text.ends_with('/') && is_plain_path(bare) && bare != "/" {
            written.bare = Some(bare.to_owned());
        }
        Some(written)
    }
}

/// A match on who calls, which nothing after the caller's own proxy knows.
pub(super) fn who_calls(spot: &Spot, gravity: Gravity) -> Obstacle {
    let obstacle = spot.obstacle(
        gravity,
        Topic::CallerMatch,
        "neither an HTTPRoute nor a waypoint knows who calls: the match would take no request",
    );
    obstacle.remedy(
        "let these callers use a Service of their own or send a header, or judge them by an AuthorizationPolicy",
    )
}

fn check_length(path: &Path, spot: &Spot, findings: &mut Findings) {
    if path.text().len() > LONGEST_PATH {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Limits,
            format!(
                "as an expression it has {} characters; an HTTPRoute takes {LONGEST_PATH}",
                path.text().len()
            ),
        ));
    }
}

/// An expression, in a plainer form where it only spells one.
fn regex(text: &str) -> Written {
    use crate::semantics::language::Shape;
    let pattern = Pattern::regex(text);
    let path = match pattern.shape() {
        _ if pattern.ignores_case() => Path::Regex(text.to_owned()),
        Shape::Any => Path::all(),
        Shape::Prefix(prefix) if prefix == "/" => Path::all(),
        Shape::Exact(exact) if is_plain_path(exact) => Path::Exact(exact.clone()),
        Shape::Element(prefix) if is_plain_path(prefix) && !prefix.ends_with('/') => {
            Path::Prefix(prefix.clone())
        }
        _ => Path::Regex(text.to_owned()),
    };
    let pattern = if path.is_all() {
        Pattern::any()
    } else {
        pattern
    };
    Written::plain(path, pattern)
}

/// Fields of a match that an HTTPRoute does not have.
fn without_counterpart(one: &HttpMatch, spot: &Spot, findings: &mut Findings) {
    if let Some((name, _)) = one.without_headers.first_key_value() {
        let spot = spot.then("withoutHeaders").then(name.as_str());
        let obstacle = spot.obstacle(
            Gravity::NoForm,
            Topic::NoCounterpart,
            "an HTTPRoute cannot ask for what a header is not",
        );
        findings.meet(
            obstacle.remedy("put a rule before this one that takes the requests with the header"),
        );
    }
    if one
        .scheme
        .as_ref()
        .is_some_and(|scheme| *scheme != StringMatch::Present)
    {
        findings.meet(spot.then("scheme").obstacle(
            Gravity::NoForm,
            Topic::NoCounterpart,
            "an HTTPRoute does not compare the scheme",
        ));
    }
    if !one.stat_prefix.is_empty() {
        findings.note(spot.then("statPrefix").note(
            Topic::NoCounterpart,
            Weight::Stated,
            "metrics of these requests are no longer kept apart by this prefix",
        ));
    }
    if !one.name.is_empty() {
        findings.note(spot.then("name").note(
            Topic::NoCounterpart,
            Weight::Form,
            "a match of an HTTPRoute has no name",
        ));
    }
}

/// Headers or query parameters of a match.
fn fields(
    wanted: &BTreeMap<String, StringMatch>,
    spot: &Spot,
    longest: usize,
    findings: &mut Findings,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for (name, wanted) in wanted {
        let spot = spot.then(name.as_str());
        if name.starts_with('@') {
            let obstacle = spot.obstacle(
                Gravity::NoForm,
                Topic::NoCounterpart,
                "an HTTPRoute does not see the claims of a token",
            );
            findings.meet(obstacle.remedy(
                "judge the claim by an AuthorizationPolicy, or copy it to a header (RequestAuthentication, outputClaimToHeaders)",
            ));
            continue;
        }
        let field = Field::of(name, wanted);
        if !is_field_name(name) {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::HeaderText,
                format!("{name:?} is no name that an HTTPRoute takes"),
            ));
        } else if !is_field_value(&field.value) || field.value.len() > longest {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::HeaderText,
                format!("{:?} is no value that an HTTPRoute takes", field.value),
            ));
        } else if fields.iter().any(|f| f.name.eq_ignore_ascii_case(name)) {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::HeaderText,
                "the same header stands here twice, in upper and lower case",
            ));
        }
        fields.push(field);
    }
    if fields.len() > 16 {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Limits,
            format!(
                "a match of an HTTPRoute takes 16 of these, not {}",
                fields.len()
            ),
        ));
    }
    fields
}

/// `HeaderName`: a token of RFC 9110.
pub(super) fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `^[!-~]+([\t ]?[!-~]+)*$`: printable, with single spaces between.
pub(super) fn is_field_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let printable = |byte: &u8| (b'!'..=b'~').contains(byte);
    let space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    bytes.first().is_some_and(printable)
        && bytes.last().is_some_and(printable)
        && bytes.len() <= LONGEST_HEADER
        && bytes.iter().all(|byte| printable(byte) || space(byte))
        && bytes
            .windows(2)
            .all(|pair| !(space(&pair[0]) && space(&pair[1])))
}

/// The methods of a match, one alternative each; nothing where it takes none that can be written.
fn methods(
    wanted: Option<&StringMatch>,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<Vec<Option<&'static str>>> {
    let Some(wanted) = wanted.filter(|wanted| **wanted != StringMatch::Present) else {
        return Some(vec![None]);
    };
    let pattern = Field::of("", wanted).pattern;
    if pattern.is_any() {
        return Some(vec![None]);
    }
    let predicate = Predicate::new(pattern);
    let asked: Option<Vec<(&str, bool)>> = METHODS
        .into_iter()
        .map(|method| Some((method, predicate.contains(method)?)))
        .collect();
    let Some(asked) = asked else {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::OrderUndecided,
            "it cannot be decided which methods the expression matches",
        ));
        return None;
    };
    let named: Vec<&str> = asked
        .iter()
        .filter(|(_, is)| *is)
        .map(|(m, _)| *m)
        .collect();
    if takes_others(&predicate) {
        let obstacle = spot.obstacle(
            if named.is_empty() {
                Gravity::NoForm
            } else {
                Gravity::Differs
            },
            Topic::NoCounterpart,
            format!(
                "an HTTPRoute names only the methods {}, and this takes others too",
                METHODS.join(", ")
            ),
        );
        findings.meet(obstacle.remedy("name the methods that are meant"));
    }
    Some(named.into_iter().map(Some).collect())
}

/// Whether a pattern takes a method that an HTTPRoute cannot name.
fn takes_others(predicate: &Predicate) -> bool {
    let exact: Vec<Predicate> = METHODS
        .into_iter()
        .map(|method| Predicate::new(Pattern::exact(method)))
        .collect();
    let mut all = vec![predicate];
    all.extend(&exact);
    let found = cells(Domain::Method, &all, Bounds::default());
    let other = |truth: &crate::semantics::language::Truth| {
        truth.get(0) && (1..all.len()).all(|position| !truth.get(position))
    };
    !found.complete || found.found.iter().any(|cell| other(&cell.truth))
}
