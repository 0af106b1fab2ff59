//! Whether Envoy did what a table says.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::oracle::{Arrival as Seen, Outcome as Real, Route};
use kubectl_ambient::semantics::routing::{
    Abort, Arrival, Cors, Effects, Fault, Outcome, Reach, Reply, Request, Retry,
};
use serde_json::Value;

/// What Envoy did otherwise, if anything.
pub(crate) fn judge(request: &Request, ours: &Outcome, real: &Real) -> Result<(), String> {
    match &ours.reply {
        Reply::NotFound => same("status", &404, &real.status),
        Reply::Answered {
            status, response, ..
        } => {
            same("status", status, &u32::from(real.status))?;
            same("arrivals", &0, &real.arrivals.len())?;
            changed("answer", response, &BTreeMap::new(), &real.headers)
        }
        Reply::Redirected(to, ..) => {
            same("status", &to.status, &u32::from(real.status))?;
            let authority = request.authority.as_deref().unwrap_or("a.shop");
            let path = ours.path.as_deref().unwrap_or(request.path());
            let target = request.target();
            let query = target.split_once('?').map(|(_, query)| query);
            let host = to.host.as_deref().unwrap_or(authority);
            let port = to.port.map_or(String::new(), |port| format!(":{port}"));
            let query = query.map_or(String::new(), |query| format!("?{query}"));
            let location = format!("{}://{host}{port}{path}{query}", to.scheme);
            let real_location = real.headers.get("location").map(|all| all.join(","));
            same("location", &Some(location), &real_location)?;
            changed("answer", &to.response, &BTreeMap::new(), &real.headers)
        }
        Reply::Forwarded { .. } => forwarded(request, ours, real),
        Reply::Invalid(_) => Ok(()),
    }
}

fn forwarded(request: &Request, ours: &Outcome, real: &Real) -> Result<(), String> {
    let Reply::Forwarded {
        arrivals,
        timeout,
        retry,
        mirrors,
        fault,
        cors,
        ..
    } = &ours.reply
    else {
        return Ok(());
    };
    let route = real.route.as_ref().ok_or("no route matched")?;
    browsers(cors.as_ref(), route)?;
    faults(fault, route)?;
    if let Some((1_000_000, Abort::Http(status))) = &fault.abort {
        return same("status", status, &i32::from(real.status));
    }
    let total: u32 = real.arrivals.iter().map(|seen| seen.weight).sum();
    let all: u32 = arrivals.iter().map(|arrival| arrival.weight).sum();
    // Envoy lists one destination as often as the route does.
    for arrival in arrivals {
        let seen: Vec<&Seen> = real
            .arrivals
            .iter()
            .filter(|seen| is_at(arrival, seen))
            .collect();
        if seen.is_empty() {
            return Err(format!(
                "nothing arrived at {}: {:?}",
                arrival.at, real.arrivals
            ));
        }
        let weight: u32 = seen.iter().map(|seen| seen.weight).sum();
        let alike = arrivals.iter().filter(|other| other.at == arrival.at);
        let expected: u32 = alike.map(|other| other.weight).sum();
        if arrivals.len() > 1 {
            let shares = (
                u64::from(expected) * u64::from(total),
                u64::from(weight) * u64::from(all),
            );
            same("share", &shares.0, &shares.1)?;
        }
        let fits = seen
            .iter()
            .map(|seen| arrived(request, ours, arrival, seen));
        let mut last = Ok(());
        let mut any = false;
        for fit in fits {
            any |= fit.is_ok();
            last = fit;
        }
        if !any {
            last?;
        }
    }
    timing(*timeout, retry.as_ref(), route)?;
    copies(mirrors, route)
}

fn copies(mirrors: &[(Reach, u32)], route: &Route) -> Result<(), String> {
    let ours: Vec<(String, u64)> = mirrors
        .iter()
        .map(|(at, share)| (at.to_string(), u64::from(*share)))
        .collect();
    let mut theirs: Vec<(String, u64)> = route
        .mirrors
        .iter()
        .map(|mirror| {
            let to = &mirror.destination;
            let subset = match to.subset.as_str() {
                "" => String::new(),
                subset => format!(" subset {subset}"),
            };
            (
                format!("{}:{}{subset}", to.host, to.port),
                millionths(&mirror.fraction),
            )
        })
        .collect();
    theirs.sort();
    same("copies", &ours, &theirs)
}

fn timing(timeout: Option<Duration>, retry: Option<&Retry>, route: &Route) -> Result<(), String> {
    let seconds = timeout.map_or(0.0, |timeout| timeout.as_secs_f64());
    let real_timeout = route.timeout.trim_end_matches('s').parse().unwrap_or(0.0);
    if (seconds - real_timeout).abs() > 1e-6 {
        return Err(format!("timeout {seconds}, Envoy's {}", route.timeout));
    }
    let attempts = retry.map(|retry| u64::from(retry.attempts));
    let real_attempts = if route.retry.is_null() {
        None
    } else {
        let number = ["num_retries", "numRetries"].map(|key| route.retry[key].as_u64());
        Some(number.into_iter().flatten().next().unwrap_or(1))
    };
    same("attempts", &attempts, &real_attempts)?;
    if let Some(retry) = retry {
        let on = ["retry_on", "retryOn"].map(|key| route.retry[key].as_str());
        let mut on: Vec<&str> = on
            .into_iter()
            .flatten()
            .next()
            .unwrap_or("")
            .split(',')
            .collect();
        on.retain(|on| *on != "retriable-status-codes");
        on.sort_unstable();
        same(
            "retry conditions",
            &retry.on.iter().map(String::as_str).collect(),
            &on,
        )?;
    }
    Ok(())
}

/// A field of Envoy's, by either of the ways that it may be written.
fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    let mut camel = String::new();
    for (position, word) in name.split('_').enumerate() {
        let (first, rest) = word.split_at(usize::from(position > 0));
        camel.push_str(&first.to_uppercase());
        camel.push_str(rest);
    }
    value.get(name).unwrap_or(&value[&camel])
}

/// A share of Envoy's; without one it is all.
fn millionths(fraction: &Value) -> u64 {
    let fraction = fraction
        .get("default_value")
        .or(fraction.get("defaultValue"))
        .unwrap_or(fraction);
    if fraction.is_null() {
        return 1_000_000;
    }
    let numerator = fraction["numerator"].as_u64().unwrap_or(0);
    match fraction["denominator"].as_str() {
        Some("MILLION") => numerator,
        Some("TEN_THOUSAND") => numerator * 100,
        _ => numerator * 10_000,
    }
}

fn browsers(ours: Option<&Cors>, route: &Route) -> Result<(), String> {
    let theirs = route
        .filters
        .iter()
        .find(|(name, _)| name.ends_with("cors"))
        .map(|(_, cors)| cors);
    same("CORS", &ours.is_some(), &theirs.is_some())?;
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Ok(());
    };
    let text = |name: &str| field(theirs, name).as_str().unwrap_or_default();
    let origins = field(theirs, "allow_origin_string_match")
        .as_array()
        .map_or(0, Vec::len);
    same("origins", &ours.origins.len(), &origins)?;
    same("methods", &ours.methods.as_str(), &text("allow_methods"))?;
    let age = ours.max_age.map_or(String::new(), |age| age.to_string());
    same("age", &age.as_str(), &text("max_age"))?;
    let is = |name: &str| field(theirs, name).as_bool().unwrap_or(false);
    same("credentials", &ours.credentials, &is("allow_credentials"))?;
    same(
        "others",
        &ours.forwards_others,
        &is("forward_not_matching_preflights"),
    )
}

fn faults(ours: &Fault, route: &Route) -> Result<(), String> {
    let theirs = route
        .filters
        .iter()
        .find(|(name, _)| name.ends_with("fault"))
        .map(|(_, fault)| fault);
    let share = |name: &str| {
        let fault = theirs.map_or(&Value::Null, |fault| &fault[name]);
        let share = &fault["percentage"];
        if share.is_null() {
            0
        } else {
            millionths(share)
        }
    };
    let abort = ours
        .abort
        .as_ref()
        .map_or(0, |(share, _)| u64::from(*share));
    same("abort", &abort, &share("abort"))?;
    let delay = ours
        .delay
        .as_ref()
        .map_or(0, |delay| u64::from(delay.millionths));
    same("delay", &delay, &share("delay"))
}

fn is_at(arrival: &Arrival, seen: &Seen) -> bool {
    match &arrival.at {
        Reach::Named(to) => {
            to.host == seen.destination.host
                && to.port == u32::from(seen.destination.port)
                && to.subset == seen.destination.subset
        }
        _ => false,
    }
}

fn arrived(
    request: &Request,
    ours: &Outcome,
    arrival: &Arrival,
    seen: &Seen,
) -> Result<(), String> {
    let path = ours.path.as_deref().unwrap_or(request.path());
    let target = request.target();
    let query = target
        .split_once('?')
        .map_or(String::new(), |(_, query)| format!("?{query}"));
    same("path", &format!("{path}{query}"), &seen.path)?;
    let asked = request.authority.as_deref().unwrap_or("a.shop");
    same(
        "host",
        &arrival.host.as_deref().unwrap_or(asked),
        &seen.authority.as_str(),
    )?;
    let own = request
        .headers
        .iter()
        .map(|(n, v)| (n.clone(), vec![v.clone()]));
    changed("request", &arrival.request, &own.collect(), &seen.headers)?;
    changed("answer", &arrival.response, &BTreeMap::new(), &seen.answer)
}

/// Whether headers are what the effects make of those that were there.
fn changed(
    what: &str,
    effects: &Effects,
    before: &BTreeMap<String, Vec<String>>,
    after: &BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    for (name, effect) in effects.iter() {
        let mut expected = before.get(name).cloned().unwrap_or_default();
        if effect.replaced {
            expected.clear();
        }
        expected.extend(effect.values.iter().cloned());
        let seen = after.get(name).cloned().unwrap_or_default();
        same(
            &format!("{what} header {name}"),
            &expected.join(","),
            &seen.join(","),
        )?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, real: &T) -> Result<(), String> {
    if ours == real {
        return Ok(());
    }
    Err(format!("{what} {ours:?}, Envoy's {real:?}"))
}
