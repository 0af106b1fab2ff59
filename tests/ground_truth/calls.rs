//! The program's own idea of verdicts, held against Istio's: for generated policies, calls are judged by the program and by the
//! real Envoy, at the sidecar of a pod (by mutual TLS, by HBONE, in plain text, on a port of bytes) and at the waypoint; and by
//! what ztunnel receives, read as ztunnel reads it.

mod connection;
mod generate;

use std::collections::BTreeSet;

use harness::oracle::{Chain, Manifests, Oracle, Proxy, Request as Asked, Translation};
use kubectl_ambient::kinds::authorization::{
    AuthorizationPolicy, PeerAuthentication, RequestAuthentication,
};
use kubectl_ambient::kinds::{Kind, Labels, Name};
use kubectl_ambient::semantics::verdict::{
    Call, Carrier, Hop, Payload, Pod, Point, Policies, Port, Protocol, Settings, Situation, Target,
    Verdict, judge,
};
use serde_json::{Map, Value};

/// Meshes that are generated.
const MESHES: usize = 100;
/// Calls to each point.
const CALLS: usize = 40;

/// A service `a` with a port of HTTP and one of bytes, in sidecar mode, with a waypoint made ready.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled, istio.io/use-waypoint: waypoint}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec:
  selector: {app: a}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000, targetPort: 9000}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: shop}
spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}
";

const HTTP: Port = Port {
    service: Some(80),
    pod: 8080,
    protocol: Protocol::Http,
};
const BYTES: Port = Port {
    service: Some(9000),
    pod: 9000,
    protocol: Protocol::Tcp,
};

/// What was compared.
#[derive(Default)]
struct Count {
    meshes: usize,
    refused: BTreeSet<String>,
    policies: usize,
    calls: usize,
    let_in: usize,
    wrong: Vec<String>,
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "how much was compared is part of the result"
)]
fn verdicts_are_those_of_istio() {
    let mut count = Count::default();
    for mesh in generate::meshes(MESHES, CALLS) {
        compare(&mesh, &mut count);
    }
    eprintln!(
        "{} meshes of {} policies ({} reasons to refuse one), {} calls, {} let in: {} wrong",
        count.meshes,
        count.policies,
        count.refused.len(),
        count.calls,
        count.let_in,
        count.wrong.len()
    );
    assert!(
        count.wrong.is_empty(),
        "\n{}\n",
        count.wrong[..count.wrong.len().min(20)].join("\n")
    );
    assert!(count.refused.is_empty(), "{:?}", count.refused);
}

/// The policies of a mesh, as the program reads them.
#[derive(Default)]
struct Read {
    settings: Settings,
    authorization: Vec<AuthorizationPolicy>,
    tokens: Vec<RequestAuthentication>,
    peers: Vec<PeerAuthentication>,
}

impl Read {
    #[expect(clippy::expect_used, reason = "the test wrote them itself")]
    fn of(objects: &[Value]) -> Self {
        let mut read = Self::default();
        for (age, object) in objects.iter().enumerate() {
            let mut object = object.clone();
            // The oracle takes them as created one after the other.
            object["metadata"]["creationTimestamp"] =
                Value::from(format!("2026-01-01T00:00:{age:02}Z"));
            match object["kind"].as_str() {
                Some("RequestAuthentication") => {
                    let policy = serde_json::from_value(object).expect("a RequestAuthentication");
                    read.tokens.push(policy);
                }
                Some("PeerAuthentication") => {
                    let policy = serde_json::from_value(object).expect("a PeerAuthentication");
                    read.peers.push(policy);
                }
                _ => {
                    let policy = serde_json::from_value(object).expect("an AuthorizationPolicy");
                    read.authorization.push(policy);
                }
            }
        }
        read
    }
}

fn compare(mesh: &generate::Mesh, count: &mut Count) {
    let yaml: Vec<String> = mesh.objects.iter().map(Value::to_string).collect();
    let yaml = yaml.join("\n---\n");
    let manifests = Manifests::new(format!("{SHOP}---\n{yaml}\n"))
        .proxy(Proxy::sidecar("a", "shop").label("app", "a"))
        .proxy(Proxy::waypoint("waypoint", "shop"));
    let translation = match Oracle::shared().translate_what_is_valid(&manifests) {
        Ok(translation) => translation,
        Err(error) => panic!("{error}\n{yaml}"),
    };
    count.meshes += 1;
    count.policies += mesh.objects.len();
    let refusals = translation
        .refused
        .iter()
        .map(|refusal| refusal.reason.clone());
    count.refused.extend(refusals);
    let read = Read::of(&mesh.objects);
    let policies = Policies::new(
        &read.settings,
        &read.authorization,
        &read.tokens,
        &read.peers,
    );
    let own = Labels::from_pairs(vec![(Name::from("app"), Name::from("a"))]);
    let pod = Pod {
        namespace: "shop",
        labels: &own,
    };
    let waypoint = Point::Waypoint {
        namespace: "shop",
        name: "waypoint",
        target: Some(Target {
            kind: Kind::Service,
            namespace: "shop",
            name: "a",
        }),
    };
    let envoys = [
        (
            "by mutual TLS",
            Point::Sidecar(pod),
            Carrier::MutualTls,
            HTTP,
        ),
        (
            "in plain text",
            Point::Sidecar(pod),
            Carrier::PlainText,
            HTTP,
        ),
        ("by HBONE", Point::Sidecar(pod), Carrier::Hbone, HTTP),
        ("of bytes", Point::Sidecar(pod), Carrier::MutualTls, BYTES),
        ("at the waypoint", waypoint.clone(), Carrier::Hbone, HTTP),
        ("of bytes at the waypoint", waypoint, Carrier::Hbone, BYTES),
    ];
    for (name, point, carrier, port) in envoys {
        // Without a chain nothing takes such calls: the mode of the port.
        if let Some(chain) = chain_of(&translation, &point, carrier, port) {
            let situation = one(point, &policies, carrier);
            at_envoy(
                mesh,
                &chain,
                (name, carrier, port),
                &situation,
                &yaml,
                count,
            );
        }
    }
    let situation = one(Point::Ztunnel(pod), &policies, Carrier::Hbone);
    at_ztunnel(mesh, &translation, &situation, &yaml, count);
}

fn at_envoy(
    mesh: &generate::Mesh,
    chain: &Chain,
    (name, carrier, port): (&str, Carrier, Port),
    situation: &Situation<'_>,
    yaml: &str,
    count: &mut Count,
) {
    // Where there must be an identity, the chain alone does not say so.
    let known = carrier != Carrier::PlainText;
    let calls = mesh.calls.iter().map(|call| to(call, port));
    let calls: Vec<Call> = calls
        .filter(|call| call.identity.is_some() == known)
        .collect();
    let at_waypoint = matches!(situation.meshed[0].point, Point::Waypoint { .. });
    let asked: Vec<Asked> = calls.iter().map(|call| asked(call, at_waypoint)).collect();
    let answers = match Oracle::shared().authorize(chain, &asked) {
        Ok(answers) => answers,
        Err(error) => panic!("{name}: {error}\n{yaml}"),
    };
    for (call, answer) in calls.iter().zip(&answers) {
        record(name, call, situation, answer.allowed, yaml, count);
    }
}

fn at_ztunnel(
    mesh: &generate::Mesh,
    translation: &Translation,
    situation: &Situation<'_>,
    yaml: &str,
    count: &mut Count,
) {
    for call in &mesh.calls {
        for port in [HTTP, BYTES] {
            let call = to(call, port);
            let Some(allowed) = connection::allowed(&translation.ztunnel, "shop", "a-0", &call)
            else {
                panic!("ztunnel knows no pod a-0\n{yaml}");
            };
            record("ztunnel", &call, situation, allowed, yaml, count);
        }
    }
}

fn record(
    name: &str,
    call: &Call,
    situation: &Situation<'_>,
    allowed: bool,
    yaml: &str,
    count: &mut Count,
) {
    count.calls += 1;
    count.let_in += usize::from(allowed);
    let ours = judge(situation, call);
    let right = match &ours {
        Verdict::Allowed(_) | Verdict::Asks(..) => allowed,
        Verdict::Denied(_) => !allowed,
        Verdict::Undecided(_) => false,
    };
    if !right {
        let theirs = if allowed { "in" } else { "out" };
        count.wrong.push(format!(
            "{name}: {call}: {ours}, but it is {theirs}\n{yaml}"
        ));
    }
}

fn one<'m>(point: Point<'m>, policies: &'m Policies<'m>, carrier: Carrier) -> Situation<'m> {
    let hop = Hop {
        point,
        policies,
        carrier,
        peer: None,
        address: None,
    };
    Situation {
        meshed: vec![hop.clone()],
        plain: vec![hop],
    }
}

fn chain_of(
    translation: &Translation,
    point: &Point<'_>,
    carrier: Carrier,
    port: Port,
) -> Option<Chain> {
    if let Point::Waypoint { .. } = point {
        let proxy = translation.proxy("waypoint")?;
        return proxy
            .service("a.shop.svc.cluster.local", port.service?)
            .cloned();
    }
    let proxy = translation.proxy("a")?;
    let own = format!("_{}", port.pod);
    let mut chains = proxy.chains.iter();
    let found = match carrier {
        Carrier::MutualTls => proxy.inbound(port.pod),
        Carrier::Hbone => chains.find(|c| c.listener == "main_internal" && c.name.ends_with(&own)),
        Carrier::PlainText => chains.find(|c| {
            let here = c.listener == "virtualInbound" && c.matches["destination_port"] == port.pod;
            here && c.transport.is_empty()
        }),
    };
    found.cloned()
}

/// The same call to another port.
fn to(call: &Call, port: Port) -> Call {
    let mut call = call.clone();
    call.port = port;
    if port.protocol == Protocol::Tcp {
        call.payload = Payload::Bytes;
    }
    call
}

/// The call as the oracle is asked about it.
fn asked(call: &Call, at_waypoint: bool) -> Asked {
    let mut asked = match &call.payload {
        Payload::Bytes => Asked::get("/"),
        Payload::Http(request) => {
            let mut asked = Asked::new(&request.method, &request.path).authority(&request.host);
            for (name, value) in &request.headers {
                asked = asked.header(name, value);
            }
            if let Some(token) = &request.token {
                let mut claims = Map::new();
                claims.insert("iss".to_owned(), Value::from(token.issuer.clone()));
                for (path, values) in &token.claims {
                    let value = match values.as_slice() {
                        [one] => Value::from(one.clone()),
                        several => Value::from(several),
                    };
                    claims.insert(path[0].clone(), value);
                }
                asked = asked.claims(Value::Object(claims));
            }
            asked
        }
    };
    if let Some(identity) = &call.identity {
        asked = asked.from(&identity.to_string());
    }
    if let Some(ip) = call.source_ip {
        asked = asked.source_ip(&ip.to_string());
    }
    asked.port(match call.port.service {
        Some(service) if at_waypoint => service,
        _ => call.port.pod,
    })
}
