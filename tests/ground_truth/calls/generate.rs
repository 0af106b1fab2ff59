//! Policies and calls, made up and always the same.

use std::collections::BTreeMap;

use kubectl_ambient::kinds::Name;
use kubectl_ambient::semantics::identity::Identity;
use kubectl_ambient::semantics::verdict::{Call, Payload, Port, Request, Token};
use serde_json::{Map, Value, json};

/// Policies, and calls that they may tell apart.
pub(super) struct Mesh {
    pub(super) objects: Vec<Value>,
    pub(super) calls: Vec<Call>,
}

/// That many meshes.
pub(super) fn meshes(count: usize, calls: usize) -> impl Iterator<Item = Mesh> {
    let mut dice = Dice(0x5eed_0fca_1101);
    (0..count).map(move |_| {
        let mut objects: Vec<Value> = (0..dice.below(4))
            .map(|number| dice.policy(number))
            .collect();
        // Tokens are verified wherever rules ask for them: the oracle takes them as valid anyway.
        for attachment in [json!({}), targets("Service", "a")] {
            let mut spec = attachment;
            spec["jwtRules"] =
                json!([{"issuer": "i", "jwks": JWKS}, {"issuer": "j", "jwks": JWKS}]);
            objects.push(object(
                "RequestAuthentication",
                "shop",
                objects.len(),
                &spec,
            ));
        }
        for _ in 0..dice.below(3) {
            objects.push(dice.peers(objects.len()));
        }
        Mesh {
            objects,
            calls: (0..calls).map(|_| dice.call()).collect(),
        }
    })
}

const JWKS: &str = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;

fn object(kind: &str, namespace: &str, number: usize, spec: &Value) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": kind,
        "metadata": {"name": format!("p{number}"), "namespace": namespace},
        "spec": spec,
    })
}

fn targets(kind: &str, name: &str) -> Value {
    let group = if kind == "Service" {
        ""
    } else {
        "gateway.networking.k8s.io"
    };
    json!({"targetRefs": [{"group": group, "kind": kind, "name": name}]})
}

/// A generator of numbers: xorshift.
struct Dice(u64);

const SOURCE: &[(&str, &[&str])] = &[
    (
        "principals",
        &[
            "*",
            "cluster.local/ns/web/sa/cart",
            "cluster.local/ns/web/*",
            "*/ns/web/sa/cart",
            "*/sa/cart",
            "cluster.local/ns/we*",
        ],
    ),
    ("namespaces", &["web", "shop", "we*", "*a", "*eb", "*"]),
    (
        "trustDomains",
        &["cluster.local", "*", "other", "clu*", "*.local"],
    ),
    (
        "ipBlocks",
        &["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "192.0.2.1"],
    ),
    (
        "requestPrincipals",
        &["*", "i/u", "i/*", "*/u", "j/u", "i*", "*u"],
    ),
];

const ACCOUNTS: &[(&str, &[&str])] = &[("serviceAccounts", &["cart", "web/cart", "ops/cart"])];

const OPERATION: &[(&str, &[&str])] = &[
    ("ports", &["8080", "80", "9000"]),
    ("methods", &["GET", "POST", "P*", "*", "*T"]),
    (
        "paths",
        &[
            "/a",
            "/a*",
            "*.js",
            "/a/{*}/b",
            "/a/{**}",
            "*",
            "/a/{**}/b",
            "/A",
            "/{*}",
        ],
    ),
    ("hosts", &["a.shop", "*.SHOP", "b*", "*", "a.shop:80"]),
];

const WHEN: &[(&str, &[&str])] = &[
    ("source.namespace", &["web", "*a"]),
    (
        "source.principal",
        &["cluster.local/ns/web/sa/cart", "*/sa/cart"],
    ),
    ("source.serviceAccount", &["web/cart"]),
    ("source.trustDomain", &["cluster.local", "other"]),
    ("source.ip", &["10.1.0.0/16"]),
    ("destination.port", &["8080", "80"]),
    ("request.headers[X-Env]", &["a", "b*", "*", "*c"]),
    ("request.headers[:method]", &["GET"]),
    ("request.auth.claims[groups]", &["ops", "d*", "*"]),
    ("request.auth.claims[iss]", &["i"]),
    ("request.auth.audiences", &["x"]),
    ("request.auth.principal", &["i/u", "*"]),
];

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap_or_default() % most
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn values(&mut self, list: &[&str]) -> Value {
        let count = 1 + self.below(2);
        (0..count).map(|_| Value::from(self.of(list))).collect()
    }

    fn policy(&mut self, number: usize) -> Value {
        let mut namespace = "shop";
        let mut spec = match self.below(8) {
            0 => json!({}),
            1 => {
                namespace = "istio-system";
                json!({})
            }
            2 => {
                namespace = "istio-system";
                json!({"selector": {"matchLabels": {"app": "a"}}})
            }
            3 => json!({"selector": {"matchLabels": {"app": "other"}}}),
            4 => targets("Gateway", "waypoint"),
            5 | 6 => targets("Service", "a"),
            _ => json!({"selector": {"matchLabels": {"app": "a"}}}),
        };
        if spec.get("targetRefs").is_none() && self.below(3) == 0 {
            spec = targets("Service", "a");
            namespace = "shop";
        }
        let deny = self.below(2) == 0;
        let least = usize::from(deny);
        let rules = least + self.below(3);
        spec["action"] = Value::from(if deny { "DENY" } else { "ALLOW" });
        spec["rules"] = (0..rules).map(|_| self.rule()).collect();
        object("AuthorizationPolicy", namespace, number, &spec)
    }

    fn rule(&mut self) -> Value {
        let mut rule = Map::new();
        let sources = self.below(3);
        if sources > 0 {
            let list = (0..sources).map(|_| {
                let fields = if self.below(4) == 0 { ACCOUNTS } else { SOURCE };
                json!({"source": self.clause(fields)})
            });
            rule.insert("from".to_owned(), list.collect());
        }
        let operations = self.below(3);
        if operations > 0 {
            let list = (0..operations).map(|_| json!({"operation": self.clause(OPERATION)}));
            rule.insert("to".to_owned(), list.collect());
        }
        if self.below(3) == 0 {
            let (key, values) = self.of(WHEN);
            let name = self.of(&["values", "notValues"]);
            let values = self.values(values);
            rule.insert("when".to_owned(), json!([{"key": key, name: values}]));
        }
        Value::Object(rule)
    }

    fn clause(&mut self, fields: &[(&str, &[&str])]) -> Value {
        let count = 1 + self.below(2);
        let mut clause = Map::new();
        for _ in 0..count {
            let (name, values) = self.of(fields);
            let name = if self.below(3) == 0 {
                format!("not{}{}", name[..1].to_uppercase(), &name[1..])
            } else {
                name.to_owned()
            };
            let values = self.values(values);
            clause.insert(name, values);
        }
        Value::Object(clause)
    }

    fn peers(&mut self, number: usize) -> Value {
        let modes = ["STRICT", "PERMISSIVE", "UNSET", "DISABLE"];
        let mode = self.of(&modes);
        let spec = json!({"mtls": {"mode": mode}});
        match self.below(4) {
            0 => object("PeerAuthentication", "istio-system", number, &spec),
            1 => object("PeerAuthentication", "shop", number, &spec),
            _ => {
                let mut spec = spec;
                spec["selector"] = json!({"matchLabels": {"app": "a"}});
                let (one, two) = (self.of(&modes), self.of(&modes));
                spec["portLevelMtls"] = json!({"8080": {"mode": one}, "9000": {"mode": two}});
                object("PeerAuthentication", "shop", number, &spec)
            }
        }
    }

    fn call(&mut self) -> Call {
        let who = self.of(&[
            None,
            Some(("web", "cart")),
            Some(("web", "x")),
            Some(("ops", "cart")),
            Some(("shop", "cart")),
            Some(("wea", "sa")),
        ]);
        let identity = who.map(|(namespace, account)| Identity {
            trust_domain: "cluster.local".to_owned(),
            namespace: Name::from(namespace),
            service_account: Name::from(account),
        });
        let mut headers = BTreeMap::new();
        if let Some(value) = self.of(&[None, Some("a"), Some("bc"), Some("x")]) {
            headers.insert("x-env".to_owned(), value.to_owned());
        }
        let ip = self.of(&["10.1.2.3", "10.1.9.9", "10.2.0.1", "192.0.2.1"]);
        let request = Request {
            method: self.of(&["GET", "POST", "PUT"]).to_owned(),
            host: self
                .of(&["a.shop", "A.SHOP", "b.shop:80", "x", "a.shop:80"])
                .to_owned(),
            path: self
                .of(&[
                    "/", "/a", "/a/", "/ab", "/a/x/b", "/a/x/y/b", "/x.js", "/a/b", "/A", "/b",
                ])
                .to_owned(),
            headers,
            token: self.token(),
        };
        Call {
            identity,
            source_ip: ip.parse().ok(),
            remote_ip: None,
            port: Port::undeclared(8080),
            server_name: None,
            payload: Payload::Http(request),
        }
    }

    fn token(&mut self) -> Option<Token> {
        let issuer = self.of(&[None, Some("i"), Some("i"), Some("j")])?;
        let mut claims = BTreeMap::new();
        for (claim, values) in [
            ("sub", &[&[][..], &["u"], &["v"]][..]),
            ("groups", &[&[], &["ops"], &["dev"], &["x", "dev"], &["x"]]),
            ("aud", &[&[], &["x"], &["y", "x"]]),
        ] {
            let values: &[&str] = self.of(values);
            if !values.is_empty() {
                let values = values.iter().map(ToString::to_string).collect();
                claims.insert(vec![claim.to_owned()], values);
            }
        }
        Some(Token {
            issuer: issuer.to_owned(),
            valid: true,
            claims,
        })
    }
}
