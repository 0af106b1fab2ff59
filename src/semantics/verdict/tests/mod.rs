//! Facts about verdicts, in tables; and random policies against a literal reading of them.

mod compared;
mod hand_over;
mod literal;
mod mtls;
mod points;
pub(crate) mod random;
mod rules;

use std::collections::BTreeMap;

use super::*;
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::{Labels, Name};
use crate::semantics::identity::Identity;

/// Policies as they were written.
#[derive(Default)]
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) authorization: Vec<AuthorizationPolicy>,
    pub(super) tokens: Vec<RequestAuthentication>,
    pub(super) peers: Vec<PeerAuthentication>,
    nothing: Labels,
}

impl World {
    /// Of documents in flow style, one a line: kind, name, namespace, spec.
    pub(super) fn of(lines: &str) -> Self {
        let mut world = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            world.add(line);
        }
        world
    }

    /// `ALLOW shop/name {selector: …, rules: …}`; also DENY, CUSTOM, AUDIT, RA, PA.
    pub(super) fn add(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let [kind, name, spec] = [words.next(), words.next(), words.next()].map(Option::unwrap);
        let (namespace, name) = name.split_once('/').unwrap();
        let metadata = format!("{{name: {name}, namespace: {namespace}}}");
        let text = format!("{{metadata: {metadata}, spec: {spec}}}");
        match kind {
            "RA" => self.tokens.push(serde_saphyr::from_str(&text).unwrap()),
            "PA" => self.peers.push(serde_saphyr::from_str(&text).unwrap()),
            action => {
                let mut policy: AuthorizationPolicy = serde_saphyr::from_str(&text).unwrap();
                policy.spec.action = serde_saphyr::from_str(action).unwrap();
                self.authorization.push(policy);
            }
        }
    }

    pub(super) fn policies(&self) -> Policies<'_> {
        Policies::new(
            &self.settings,
            &self.authorization,
            &self.tokens,
            &self.peers,
        )
    }

    /// A pod of namespace shop without labels.
    pub(super) fn pod(&self) -> Pod<'_> {
        Pod {
            namespace: "shop",
            labels: &self.nothing,
        }
    }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter().map(|(k, v)| (Name::from(*k), Name::from(*v)));
    Labels::from_pairs(pairs.collect())
}

pub(super) fn hop<'m>(point: Point<'m>, policies: &'m Policies<'m>, carrier: Carrier) -> Hop<'m> {
    Hop {
        point,
        policies,
        carrier,
        peer: None,
        address: None,
    }
}

/// Straight to a pod, by mutual TLS or in plain text.
pub(super) fn direct<'m>(point: Point<'m>, policies: &'m Policies<'m>) -> Situation<'m> {
    let carrier = match point {
        Point::Sidecar(_) | Point::Gateway(_) => Carrier::MutualTls,
        Point::Ztunnel(_) | Point::Waypoint { .. } => Carrier::Hbone,
    };
    Situation {
        meshed: vec![hop(point.clone(), policies, carrier)],
        plain: vec![hop(point, policies, Carrier::PlainText)],
    }
}

pub(super) const WAYPOINT: &str = "cluster.local/ns/shop/sa/waypoint";

/// Through the waypoint for Service `a`, then to a pod; plain text goes to the pod.
pub(super) fn behind<'m>(
    pod: Point<'m>,
    policies: &'m Policies<'m>,
    at_waypoint: &'m Policies<'m>,
) -> Situation<'m> {
    let waypoint = Point::Waypoint {
        namespace: "shop",
        name: "waypoint",
        target: Some(Target {
            kind: crate::kinds::Kind::Service,
            namespace: "shop",
            name: "a",
        }),
    };
    let mut last = hop(pod.clone(), policies, Carrier::Hbone);
    last.peer = Some(identity(WAYPOINT));
    Situation {
        meshed: vec![hop(waypoint, at_waypoint, Carrier::Hbone), last],
        plain: vec![hop(pod, policies, Carrier::PlainText)],
    }
}

pub(super) fn identity(text: &str) -> Identity {
    let parts: Vec<&str> = text.split('/').collect();
    Identity {
        trust_domain: parts[0].to_owned(),
        namespace: Name::from(parts[2]),
        service_account: Name::from(parts[4]),
    }
}

pub(super) const PORT: Port = Port {
    service: Some(80),
    pod: 8080,
    protocol: Protocol::Http,
};

/// Calls to [`PORT`] by anyone.
pub(super) const ANYONE: Scope<'static> = Scope {
    ports: &[PORT],
    not_by: &[],
};

/// A call from words: `web/cart` or `-` for who, then a method, a path, `host=`, `ip=`, `for=`,
/// `port=`, `tcp` for a port of bytes, `bytes`, `sni=`, `token=issuer`, `bad=issuer`, `name:value`
/// for headers, `claim.path=value`.
pub(super) fn call(text: &str) -> Call {
    let mut request = Request::default();
    let mut call = Call {
        identity: None,
        source_ip: Some("10.0.0.9".parse().unwrap()),
        remote_ip: None,
        port: PORT,
        server_name: None,
        payload: Payload::Bytes,
    };
    let mut bytes = false;
    let mut claims: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for word in text.split(' ') {
        if word == "-" || word == "bytes" {
            bytes |= word == "bytes";
        } else if word == "tcp" {
            call.port.protocol = Protocol::Tcp;
        } else if word.starts_with('/') {
            word.clone_into(&mut request.path);
        } else if let Some((key, value)) = word.split_once('=') {
            match key {
                "host" => value.clone_into(&mut request.host),
                "ip" => call.source_ip = Some(value.parse().unwrap()),
                "for" => call.remote_ip = Some(value.parse().unwrap()),
                "port" => {
                    let port: u16 = value.parse().unwrap();
                    call.port.pod = port;
                    call.port.service = Some(port);
                }
                "sni" => call.server_name = Some(value.to_owned()),
                "token" | "bad" => {
                    request.token = Some(Token {
                        issuer: value.to_owned(),
                        valid: key == "token",
                        claims: BTreeMap::new(),
                    });
                }
                claim => {
                    let path = claim.split('.').map(str::to_owned).collect();
                    claims.entry(path).or_default().push(value.to_owned());
                }
            }
        } else if let Some((name, value)) = word.split_once(':') {
            request.headers.insert(name.to_owned(), value.to_owned());
        } else if let Some((namespace, account)) = word.rsplit_once('/') {
            let (domain, namespace) = namespace
                .split_once('/')
                .unwrap_or(("cluster.local", namespace));
            call.identity = Some(identity(&format!("{domain}/ns/{namespace}/sa/{account}")));
        } else {
            word.clone_into(&mut request.method);
        }
    }
    if let Some(token) = &mut request.token {
        token.claims = claims;
    }
    if !bytes {
        call.payload = Payload::Http(request);
    }
    call
}

/// A verdict in a word: `+` let through, `-` refused, `?` undecided, `asks p`.
pub(super) fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed(_) => "+".to_owned(),
        Verdict::Denied(_) => "-".to_owned(),
        Verdict::Undecided(_) => "?".to_owned(),
        Verdict::Asks(who, _) => {
            let who: Vec<&str> = who.iter().map(String::as_str).collect();
            format!("asks {}", who.join("+"))
        }
    }
}

/// Asserts verdicts of calls in a situation: lines of `call => word`.
#[track_caller]
pub(super) fn verdicts(situation: &Situation<'_>, lines: &str) {
    let mut found = Vec::new();
    let mut wanted = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, expected) = line.split_once(" => ").unwrap();
        let verdict = judge(situation, &call(what.trim()));
        found.push((what, word(&verdict), verdict.to_string()));
        wanted.push((what, expected.to_owned(), verdict.to_string()));
    }
    assert_eq!(found, wanted);
}

/// Asserts verdicts of calls straight to the sidecar of a pod of namespace shop, and to ztunnel:
/// lines of `call => at the sidecar, at ztunnel`.
#[track_caller]
pub(super) fn both(world: &World, lines: &str) {
    let policies = world.policies();
    let split = |index: usize| -> String {
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let one = lines.map(|line| {
            let (what, expected) = line.split_once(" => ").unwrap();
            let expected = expected.split(", ").nth(index).unwrap();
            [what, " => ", expected, "\n"].concat()
        });
        one.collect()
    };
    verdicts(&direct(Point::Sidecar(world.pod()), &policies), &split(0));
    verdicts(&direct(Point::Ztunnel(world.pod()), &policies), &split(1));
}
