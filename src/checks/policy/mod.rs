//! Security policies, and what several checks ask about them: which apply to the pods of a
//! namespace that is judged (`enforced`), and what ztunnel makes of them (`ztunnel`).
//!
//! Each check names one effect. Of an AuthorizationPolicy with a selector AMB301 to AMB304 say what
//! ztunnel loses of it; of one without a selector AMB307 says that, and that no waypoint takes it.
//! What matches more than it says is AMB301's (ALLOW) and AMB303's (DENY) with or without a selector.
//! AMB312 speaks for workloads in front of which no waypoint can stand.

mod enforced;
mod relabelled;
mod ztunnel;

use super::declare::checks;

pub use enforced::{ENFORCED, Enforced, Reach, enforced_in, is_attached, names, reach};
pub use ztunnel::{Fate, lost, unknown, widened};

checks! {
    amb301_allow_with_l7_fields,
    amb302_deny_that_never_matches,
    amb303_deny_that_matches_more,
    amb304_custom_or_audit,
    amb305_waypoint_not_admitted,
    amb307_wide_policy,
    amb308_policy_targets,
    amb311_past_the_waypoint,
    amb312_no_service_in_front,
    amb313_policy_ports,
    amb314_tokens_not_verified,
    amb315_plain_text_only,
    amb318_trust_domain,
    amb319_dry_run,
    amb350_selector_by_sidecar_labels,
    amb351_rewritten_requests,
    amb352_routes_of_other_services,
    amb353_extension_without_waypoint,
}
