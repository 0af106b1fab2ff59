//! A plan on the screen.

use super::text::{Style, Tone, plural, put, visible};
use crate::report::plan::{ObstacleEntry, PlanEntry, StepEntry, WriteEntry};

/// How many fields of a write the screen shows; the wide one shows all.
const FIELDS: usize = 4;

pub(super) fn render(out: &mut String, plan: &PlanEntry, style: &Style, wide: bool) {
    if plan.steps.is_empty() {
        put!(out, "\nnothing to move in {}\n", plan.namespace);
        return;
    }
    put!(
        out,
        "\n{}\n",
        style.paint(Tone::Strong, &format!("steps for {}", plan.namespace))
    );
    for step in &plan.steps {
        one(out, step, style, wide);
    }
    let totals = &plan.totals;
    put!(
        out,
        "\n{} to add, {} to change, {} to restart, {} to destroy\n",
        totals.add,
        totals.change,
        totals.restart,
        totals.destroy
    );
    if !plan.remainder.is_empty() {
        let text = format!("keep their sidecars: {}", plan.remainder.join(", "));
        out.push_str(&style.wrap(0, &text));
    }
    bypasses(out, plan, style);
    obstacles(out, &plan.obstacles, style);
}

fn one(out: &mut String, step: &StepEntry, style: &Style, wide: bool) {
    let later = if step.later {
        "  (later, by --finish)"
    } else {
        ""
    };
    put!(
        out,
        "  {}{later}\n",
        style.paint(Tone::Strong, &visible(&step.id, false))
    );
    for write in &step.writes {
        written(out, write, style, wide);
    }
    for rollout in &step.rollouts {
        let pods = plural(
            usize::try_from(rollout.pods).unwrap_or(usize::MAX),
            "pod",
            "pods",
        );
        let turns = plural(
            usize::try_from(rollout.turns).unwrap_or(usize::MAX),
            "turn",
            "turns",
        );
        let least = match rollout.at_least_seconds {
            0 => String::new(),
            seconds => format!(", at least {seconds} s"),
        };
        let text = format!(
            "replaces {pods} of {} by {} in {turns}{least}",
            visible(&rollout.workload, false),
            visible(&rollout.strategy, false)
        );
        out.push_str(&style.wrap(6, &text));
    }
    for risk in &step.risks {
        out.push_str(&style.hang("      mind: ", 12, &visible(risk, false)));
    }
    for gate in &step.gate {
        out.push_str(&style.hang("      until ", 12, &visible(gate, false)));
    }
    if wide {
        for undo in &step.undo {
            out.push_str(&style.hang("      undo: ", 12, &visible(undo, false)));
        }
    }
}

fn written(out: &mut String, write: &WriteEntry, style: &Style, wide: bool) {
    let (sign, tone) = match write.verb {
        "create" => ("+", Tone::Good),
        "remove" => ("-", Tone::Bad),
        _ => ("~", Tone::Caution),
    };
    let how = if write.verb == "restart" {
        " (restart)"
    } else {
        ""
    };
    let first = format!("    {} ", style.paint(tone, sign));
    out.push_str(&style.hang(
        &first,
        6,
        &format!("{}{how}", visible(&write.object, false)),
    ));
    let shown = if wide { usize::MAX } else { FIELDS };
    for field in write.fields.iter().take(shown) {
        let value = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "absent".to_owned(), short)
        };
        let text = format!(
            "{}: {} {} {}",
            visible(&field.field, false),
            value(&field.before),
            style.arrow(),
            value(&field.after)
        );
        out.push_str(&style.hang("        ", 10, &text));
    }
    if let Some(more) = write
        .fields
        .len()
        .checked_sub(shown)
        .filter(|more| *more > 0)
    {
        put!(
            out,
            "        and {}\n",
            plural(more, "more field", "more fields")
        );
    }
    if wide && let Some(command) = &write.kubectl {
        out.push_str(&style.hang("        $ ", 10, &visible(command, false)));
    }
}

/// A value in few words.
fn short(value: &serde_json::Value) -> String {
    const LONGEST: usize = 60;
    let text = visible(&value.to_string(), false).into_owned();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}...")
}

/// Who goes past a waypoint, workload by workload.
fn bypasses(out: &mut String, plan: &PlanEntry, style: &Style) {
    if plan.bypasses.is_empty() {
        return;
    }
    let title = "past the waypoint, while callers have sidecars";
    put!(out, "\n{}\n", style.paint(Tone::Caution, title));
    for bypass in &plan.bypasses {
        let text = format!(
            "{} from {} on, where {} reads requests",
            bypass.called,
            bypass.from,
            bypass.rules.join(", ")
        );
        out.push_str(&style.hang("  ", 4, &visible(&text, false)));
        for caller in &bypass.callers {
            let until = caller
                .until
                .as_ref()
                .map_or_else(String::new, |step| format!(", until {step}"));
            let text = format!("{} (named by {}){until}", caller.who, caller.because);
            out.push_str(&style.hang("    called by ", 14, &visible(&text, false)));
        }
        if let Some(possible) = bypass.possible {
            let here = plural(possible.workloads, "more workload", "more workloads");
            let others = plural(possible.namespaces, "other namespace", "other namespaces");
            let who = match (possible.workloads, possible.namespaces) {
                (_, 0) => here,
                (0, _) => format!("sidecars of {others}"),
                _ => format!("{here} and sidecars of {others}"),
            };
            let text = format!("{who}, which nothing excludes");
            out.push_str(&style.hang("    perhaps by ", 15, &text));
        }
    }
}

/// What stands in the way, and what is accepted of it.
pub(super) fn obstacles(out: &mut String, all: &[ObstacleEntry], style: &Style) {
    let (accepted, open): (Vec<_>, Vec<_>) =
        all.iter().partition(|obstacle| obstacle.accepted.is_some());
    if !open.is_empty() {
        put!(out, "\n{}\n", style.paint(Tone::Bad, "stands in the way"));
    }
    for obstacle in open {
        let id = obstacle.id.as_deref().unwrap_or("-");
        let object = obstacle.object.as_ref().map(|object| format!("{object}: "));
        let text = format!("{}{}", object.unwrap_or_default(), obstacle.message);
        out.push_str(&style.hang(&format!("  {id}  "), 10, &visible(&text, false)));
        if let Some(remedy) = &obstacle.remedy {
            out.push_str(&style.hang("          fix: ", 15, &visible(remedy, false)));
        }
    }
    if !accepted.is_empty() {
        put!(
            out,
            "\n{}\n",
            style.paint(Tone::Strong, "accepted findings")
        );
    }
    for obstacle in accepted {
        let id = obstacle.id.as_deref().unwrap_or("-");
        let reason = obstacle.accepted.as_deref().unwrap_or_default();
        let text = format!("{} (accepted: {reason})", obstacle.message);
        out.push_str(&style.hang(&format!("  {id}  "), 10, &visible(&text, false)));
    }
}
