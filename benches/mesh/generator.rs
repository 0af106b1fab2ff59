//! Writes meshes of any size, as an API server would return them: one JSON `List`.
//!
//! The same size gives the same bytes. A mesh of N pods has N/5 Deployments with a Service each,
//! N/10 policies and routes of ten shapes, a namespace for every twenty workloads, and the
//! installation of the story's mesh. Objects come from the JSON templates beside this file, in
//! which `${name}` stands for text and `"#{name}#"` for a number. They are cut into pieces once and
//! then only copied, so that 10,000 pods take a fraction of a second.

use std::io::{self, Write};

use serde_json::Value;

/// Pods of one workload.
const REPLICAS: usize = 5;
/// Workloads of one namespace.
const WORKLOADS: usize = 20;
/// Workloads for each policy or route.
const WORKLOADS_A_POLICY: usize = 2;
/// One workload in so many still runs sidecars that do not speak HBONE.
const WITHOUT_HBONE: usize = 40;

/// Writes a mesh with this many pods as one `v1` `List`.
///
/// # Errors
/// When `out` cannot be written, or a template is broken.
pub(crate) fn write(pods: usize, out: &mut impl Write) -> io::Result<()> {
    let templates = Templates::read()?;
    let workloads = pods.div_ceil(REPLICAS);
    let mut list = List::begin(out)?;

    for object in installation()? {
        list.item(|out| out.write_all(object.as_bytes()))?;
    }
    for n in 0..workloads.div_ceil(WORKLOADS) {
        let values = Values::of_namespace(n);
        list.item(|out| templates.namespace.write(&values, out))?;
    }
    for w in 0..workloads {
        let replicas = REPLICAS.min(pods - w * REPLICAS);
        let values = Values::of_workload(w, "Deployment").with("replicas", replicas.to_string());
        list.item(|out| templates.deployment.write(&values, out))?;
    }
    for w in 0..workloads {
        let values = Values::of_workload(w, "Service").with("vip", address(172, w));
        list.item(|out| templates.service.write(&values, out))?;
    }
    for p in 0..workloads / WORKLOADS_A_POLICY {
        let values = Values::of_workload(p * WORKLOADS_A_POLICY, "policy");
        let template = &templates.policies[p % templates.policies.len()];
        list.item(|out| template.write(&values, out))?;
    }
    for p in 0..pods {
        let values = Values::of_pod(p);
        let old = (p / REPLICAS) % WITHOUT_HBONE == WITHOUT_HBONE - 1;
        let template = if old {
            &templates.old_pod
        } else {
            &templates.pod
        };
        list.item(|out| template.write(&values, out))?;
    }
    list.end()
}

/// The parts of the story's mesh that are not workloads: each as JSON in one line.
fn installation() -> io::Result<Vec<String>> {
    let text = include_str!("../../examples/wealist/installation.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).map_err(io::Error::other)?;
    Ok(objects.iter().map(Value::to_string).collect())
}

struct Templates {
    namespace: Template,
    deployment: Template,
    service: Template,
    pod: Template,
    old_pod: Template,
    policies: Vec<Template>,
}

impl Templates {
    fn read() -> io::Result<Self> {
        let pod: Value = serde_json::from_str(include_str!("pod.json"))?;
        let mut old_pod = pod.clone();
        if let Some(labels) = old_pod["metadata"]["labels"].as_object_mut() {
            labels.remove("networking.istio.io/tunnel");
        }
        let policies: Vec<Value> = serde_json::from_str(include_str!("policies.json"))?;
        Ok(Self {
            namespace: Template::cut(&serde_json::from_str(include_str!("namespace.json"))?)?,
            deployment: Template::cut(&serde_json::from_str(include_str!("deployment.json"))?)?,
            service: Template::cut(&serde_json::from_str(include_str!("service.json"))?)?,
            pod: Template::cut(&pod)?,
            old_pod: Template::cut(&old_pod)?,
            policies: policies
                .iter()
                .map(Template::cut)
                .collect::<io::Result<_>>()?,
        })
    }
}

/// An object as text with gaps.
struct Template {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Gap(String),
}

impl Template {
    fn cut(object: &Value) -> io::Result<Self> {
        let text = object
            .to_string()
            .replace("\"#{", "${")
            .replace("}#\"", "}");
        let mut pieces = text.split("${");
        let mut parts = vec![Part::Text(pieces.next().unwrap_or_default().to_owned())];
        for piece in pieces {
            let (gap, rest) = piece
                .split_once('}')
                .ok_or_else(|| io::Error::other("a gap without an end"))?;
            parts.push(Part::Gap(gap.to_owned()));
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    fn write(&self, values: &Values, out: &mut impl Write) -> io::Result<()> {
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text,
                Part::Gap(name) => values.get(name)?,
            };
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

/// What fills the gaps of one object.
struct Values(Vec<(&'static str, String)>);

impl Values {
    fn of_namespace(n: usize) -> Self {
        Self(vec![
            ("ns", namespace(n)),
            ("uid", uid("Namespace", n)),
            ("rv", (100_000 + n).to_string()),
        ])
    }

    fn of_workload(w: usize, kind: &str) -> Self {
        let n = w / WORKLOADS;
        // Within a namespace the workloads form a ring of callers.
        let neighbour = |step: usize| n * WORKLOADS + (w % WORKLOADS + step) % WORKLOADS;
        Self(vec![
            ("app", app(w)),
            ("ns", namespace(n)),
            ("caller", app(neighbour(WORKLOADS - 1))),
            ("callee", app(neighbour(1))),
            ("uid", uid(kind, w)),
            ("rv", (200_000 + w).to_string()),
        ])
    }

    fn of_pod(p: usize) -> Self {
        let w = p / REPLICAS;
        let hash = word(10, mix(w as u64));
        let node = p % 100;
        let values = Self::of_workload(w, "Pod");
        let pod = format!("{}-{hash}-{}", app(w), word(5, mix(p as u64 ^ 0xb0d5)));
        let sha = |i: usize| mix((p * 4 + i) as u64);
        let sha = format!(
            "{:015x}{:016x}{:016x}{:016x}",
            sha(0) >> 4,
            sha(1),
            sha(2),
            sha(3)
        );
        values
            .with("uid", uid("Pod", p))
            .with("rv", (900_000 + p).to_string())
            .with("owner", uid("ReplicaSet", w))
            .with("hash", hash)
            .with("pod", pod)
            .with("node", format!("worker-{node}"))
            .with("host", format!("192.168.1.{}", node + 1))
            .with("ip", address(10, p))
            .with("sha", sha)
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
        self
    }

    fn get(&self, name: &str) -> io::Result<&String> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .ok_or_else(|| io::Error::other(format!("no value for the gap `{name}`")))
    }
}

fn namespace(n: usize) -> String {
    format!("team-{n:03}")
}

fn app(w: usize) -> String {
    format!("app-{w:04}")
}

fn address(net: u8, i: usize) -> String {
    let i = i + 1;
    format!("{net}.{}.{}.{}", 16 + i / 62_500, i / 250 % 250, i % 250)
}

fn uid(kind: &str, i: usize) -> String {
    let seed = kind.bytes().fold(i as u64, |a, b| mix(a ^ u64::from(b)));
    let (a, b) = (mix(seed), mix(seed ^ 1));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// Letters and digits as Kubernetes takes them for generated names.
fn word(length: usize, mut seed: u64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = ALPHABET.len() as u64;
    (0..length)
        .map(|_| {
            let digit = ALPHABET[usize::try_from(seed % base).unwrap_or(0)];
            seed /= base;
            char::from(digit)
        })
        .collect()
}

/// Spreads neighbouring numbers over all of them (the finaliser of splitmix64).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The list around the items.
struct List<'a, W> {
    out: &'a mut W,
    first: bool,
}

impl<'a, W: Write> List<'a, W> {
    fn begin(out: &'a mut W) -> io::Result<Self> {
        out.write_all(b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"\"},\"items\":[\n")?;
        Ok(Self { out, first: true })
    }

    fn item(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            self.out.write_all(b",\n")?;
        }
        write(self.out)
    }

    fn end(self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
