//! What comes of a call.

use std::collections::BTreeSet;
use std::fmt;

use crate::kinds::ObjectRef;

/// What comes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It arrives. By which rule; none where no policy demands one.
    Allowed(Option<RuleName>),
    /// It is refused.
    Denied(Reason),
    /// It arrives if all these external authorizers agree; by which rule besides. What is refused
    /// whatever they say is denied.
    Asks(BTreeSet<String>, Option<RuleName>),
    /// It depends on what the call does not say or this program does not know; each such thing once.
    Undecided(BTreeSet<String>),
}

impl Verdict {
    /// Whether it comes to the same, by whatever rule.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allowed(_), Self::Allowed(_)) | (Self::Denied(_), Self::Denied(_)) => true,
            (Self::Asks(a, _), Self::Asks(b, _)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Self::Allowed(None) => f.write_str("allowed"),
            Self::Allowed(Some(rule)) => write!(f, "allowed by {rule}"),
            Self::Denied(reason) => write!(f, "denied: {reason}"),
            Self::Asks(providers, _) => write!(f, "allowed if {} agrees", list(providers)),
            Self::Undecided(why) => write!(f, "undecided: it depends on {}", list(why)),
        }
    }
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleName {
    /// The policy.
    pub policy: ObjectRef,
    /// The rule's position.
    pub rule: usize,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} of {}", self.rule, self.policy)
    }
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Judge {
    /// The proxy in the pod.
    Sidecar,
    /// The node's ztunnel.
    Ztunnel,
    /// A waypoint.
    Waypoint,
    /// A gateway.
    Gateway,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sidecar => "the sidecar",
            Self::Ztunnel => "ztunnel",
            Self::Waypoint => "the waypoint",
            Self::Gateway => "the gateway",
        })
    }
}

/// Why a call is refused, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason {
    /// Who refuses.
    pub judge: Judge,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Network(_) => self.cause.fmt(f),
            cause => write!(f, "{cause} at {}", self.judge),
        }
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A rule refuses it.
    Rule(RuleName),
    /// There are ALLOW policies, and none admits it.
    NoneAdmits,
    /// The caller has no identity, and one is demanded; by this policy, where one can be named.
    PlainText(Option<ObjectRef>),
    /// The caller's trust domain is not one that is accepted.
    TrustDomain,
    /// Its token does not verify, or nobody knows its issuer.
    Token,
    /// The authorizer that this rule asks is not defined in the mesh.
    NoProvider(RuleName),
    /// It is not HTTP, and the port speaks HTTP.
    NotHttp,
    /// These NetworkPolicies keep the caller from the port, before anyone else is asked.
    Network(Vec<ObjectRef>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "{rule}"),
            Self::NoneAdmits => f.write_str("no ALLOW policy admits it"),
            Self::PlainText(None) => f.write_str("plain text"),
            Self::PlainText(Some(policy)) => write!(f, "plain text, by {policy}"),
            Self::TrustDomain => f.write_str("a foreign trust domain"),
            Self::Token => f.write_str("the token"),
            Self::NoProvider(rule) => write!(f, "no such provider, {rule}"),
            Self::NotHttp => f.write_str("it is not HTTP"),
            Self::Network(policies) => {
                let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
                let (last, others) = policies
                    .split_last()
                    .map_or(("the network", &[][..]), |(last, others)| {
                        (last.as_str(), others)
                    });
                let does_not = if others.is_empty() {
                    "does not"
                } else {
                    "do not"
                };
                for other in others {
                    write!(f, "{other}, ")?;
                }
                write!(f, "{last} {does_not} admit the caller to the port")
            }
        }
    }
}
