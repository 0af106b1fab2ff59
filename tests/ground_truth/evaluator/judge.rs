//! Whether Envoy did what a table says.

use std::collections::BTreeMap;

use harness::oracle::{Arrival as Seen, Outcome as Real};
use kubectl_ambient::semantics::routing::{Arrival, Effects, Outcome, Reach, Reply, Request};

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
        ..
    } = &ours.reply
    else {
        return Ok(());
    };
    let route = real.route.as_ref().ok_or("no route matched")?;
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
    let seconds = timeout.map_or(0.0, |timeout| timeout.as_secs_f64());
    let real_timeout = route.timeout.trim_end_matches('s').parse().unwrap_or(0.0);
    if (seconds - real_timeout).abs() > 1e-6 {
        return Err(format!("timeout {seconds}, Envoy's {}", route.timeout));
    }
    let attempts = retry.as_ref().map(|retry| u64::from(retry.attempts));
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
    same("mirrors", &mirrors.len(), &route.mirrors.len())
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
