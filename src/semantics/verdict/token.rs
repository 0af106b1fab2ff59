//! Tokens: what RequestAuthentications at a point make of the one that a request carries.
//!
//! Source: `pilot/pkg/security/authn/policy_applier.go` (`convertToEnvoyJwtConfig`). A request
//! without a token passes. One with a token passes if its issuer has rules here and the token
//! verifies by them; an issuer that has none is refused too. Where nothing verifies tokens they are
//! ignored. A token that was verified is taken out of the request unless its rule sends it on.
//! Requests that ask for leave to ask (CORS preflights) are not looked at, which is left out here.

use std::collections::BTreeMap;

use super::formula::Formula;
use super::question::{Question, Questions, Test, TokenTest};
use crate::kinds::authorization::{JwtRule, RequestAuthentication};

/// The tokens that have come through to a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Visible {
    /// Any.
    All,
    /// Valid ones of these issuers.
    Only(Vec<String>),
}

impl Visible {
    fn sees(&self, issuer: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(issuers) => issuers.iter().any(|own| own == issuer),
        }
    }
}

/// How tokens are verified at a point.
#[derive(Debug)]
pub(super) struct Verified {
    visible: Visible,
    issuers: Vec<String>,
    passed_on: Vec<String>,
    /// For each issuer how its tokens are verified, in one text.
    ways: BTreeMap<String, String>,
}

impl Verified {
    /// At a point with these policies.
    pub(super) fn by(policies: &[&RequestAuthentication], visible: Visible) -> Self {
        let rules = policies.iter().flat_map(|policy| &policy.spec.jwt_rules);
        let mut verified = Self {
            visible,
            issuers: Vec::new(),
            passed_on: Vec::new(),
            ways: BTreeMap::new(),
        };
        for rule in rules {
            verified.issuers.push(rule.issuer.clone());
            if rule.forward_original_token {
                verified.passed_on.push(rule.issuer.clone());
            }
            let way = verified.ways.entry(rule.issuer.clone()).or_default();
            way.push_str(&way_of(rule));
        }
        verified
    }

    /// Where nothing verifies tokens.
    pub(super) fn nowhere(visible: Visible) -> Self {
        Self::by(&[], visible)
    }

    /// The issuers with rules here, each with how its tokens are verified.
    pub(super) fn ways(&self) -> &BTreeMap<String, String> {
        &self.ways
    }

    /// The tokens that the next point sees.
    pub(super) fn leaves(&self) -> Visible {
        if self.issuers.is_empty() {
            return self.visible.clone();
        }
        let mut issuers = self.passed_on.clone();
        issuers.retain(|issuer| self.visible.sees(issuer));
        Visible::Only(issuers)
    }

    /// When a request is refused for its token.
    pub(super) fn refused(&self, ask: &mut Questions) -> Formula {
        if self.issuers.is_empty() {
            return Formula::False;
        }
        let own = self.issuers.iter().map(|issuer| (issuer.clone(), false));
        let test = match &self.visible {
            Visible::All => TokenTest {
                invalid: true,
                issuers: own.collect(),
                others: true,
            },
            Visible::Only(seen) => TokenTest {
                invalid: false,
                issuers: seen.iter().map(|s| (s.clone(), true)).chain(own).collect(),
                others: false,
            },
        };
        ask_token(test, ask)
    }

    /// When a request has a verified token.
    pub(super) fn any(&self, ask: &mut Questions) -> Formula {
        self.with(|_| Some(true), ask)
    }

    /// When a request has a verified token whose issuer passes a test.
    pub(super) fn issued_by(&self, test: &Test, ask: &mut Questions) -> Formula {
        let passes: Vec<bool> = self
            .issuers
            .iter()
            .map(|issuer| ask.test(test, issuer).unwrap_or(false))
            .collect();
        let passes = |issuer: &str| {
            let position = self.issuers.iter().position(|own| own == issuer)?;
            Some(passes[position])
        };
        self.with(passes, ask)
    }

    fn with(&self, passes: impl Fn(&str) -> Option<bool>, ask: &mut Questions) -> Formula {
        let issuers = self
            .issuers
            .iter()
            .filter(|issuer| self.visible.sees(issuer) && passes(issuer).unwrap_or(false));
        let test = TokenTest {
            invalid: false,
            issuers: issuers.map(|issuer| (issuer.clone(), true)).collect(),
            others: false,
        };
        ask_token(test, ask)
    }
}

fn ask_token(mut test: TokenTest, ask: &mut Questions) -> Formula {
    let others = test.others;
    test.issuers.retain(|_, answer| *answer != others);
    if test.issuers.is_empty() && !test.invalid && !test.others {
        return Formula::False;
    }
    ask.ask(Question::Token(test))
}

/// How a rule verifies, in one text; whether it sends the token on does not matter.
fn way_of(rule: &JwtRule) -> String {
    let quiet = ["outputPayloadToHeader", "outputClaimToHeaders", "timeout"];
    let matters = rule
        .rest
        .iter()
        .filter(|(field, _)| !quiet.contains(&field.as_str()))
        .map(|(field, value)| format!("{field}={value};"));
    matters.collect()
}
