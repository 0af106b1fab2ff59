//! The roles that `rbac` prints: a command works with exactly its role, and without one of its rules it
//! says what it could not look at, or that it has no right. It never says less.

use harness::{ControlPlane, Identity, Permission, Result};
use serde_json::Value;

use crate::wealist::{self, essence};

/// The roles of a command.
fn roles(plane: &ControlPlane, arguments: &[&str]) -> Result<Vec<Value>> {
    let asked = ["rbac", "-o", "json", "--for"].iter().chain(arguments);
    let printed = plane.ambient(asked)?.run()?.exited(0)?.json()?;
    Ok(match printed["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![printed],
    })
}

/// Every rule of the roles as a permission, with its text.
fn permissions(roles: &[Value]) -> Vec<(String, Permission)> {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(|one| Some(one.as_str()?.to_owned()))
            .collect()
    };
    let mut all = Vec::new();
    for role in roles {
        let namespace = role["metadata"]["namespace"].as_str();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let (verbs, resources) = (texts(&rule["verbs"]), texts(&rule["resources"]));
            let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
            let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
            let group = rule["apiGroups"][0].as_str().unwrap_or_default();
            let permission = match namespace {
                Some(namespace) => Permission::within(namespace, &verbs, group, &resources),
                None => Permission::everywhere(&verbs, group, &resources),
            };
            all.push((rule.to_string(), permission));
        }
    }
    all
}

fn without(all: &[(String, Permission)], index: usize) -> Vec<Permission> {
    let kept = all.iter().enumerate().filter(|(at, _)| *at != index);
    kept.map(|(_, (_, permission))| permission.clone())
        .collect()
}

fn whole(all: &[(String, Permission)]) -> Vec<Permission> {
    all.iter()
        .map(|(_, permission)| permission.clone())
        .collect()
}

#[test]
fn the_roles_are_taken_by_the_server() -> Result {
    let plane = wealist::shared()?;
    for arguments in [
        &["check"][..],
        &["check", "-n", "default"],
        &["convert", "-n", "default"],
        &["rollback"],
    ] {
        let asked = ["rbac", "--for"].iter().chain(arguments);
        let yaml = plane.ambient(asked)?.run()?.exited(0)?.stdout;
        let apply = ["apply", "--dry-run=server", "-f", "-"];
        plane.kubectl(apply).stdin(yaml).run()?.exited(0)?;
    }
    Ok(())
}

#[test]
fn check_works_with_its_role_and_without_a_rule_is_undecided() -> Result {
    let plane = wealist::shared()?;
    let home = plane.namespace("checker", &[])?;
    let all = permissions(&roles(plane, &["check", "-n", "default"])?);
    let checker = plane.identity(&home, &whole(&all))?;
    let admin = plane.ambient(["check", "-n", "default", "-o", "json"])?;
    let admin = essence(&admin.run()?.exited(0)?.json()?);
    let check = |who: &Identity| {
        let check = plane.ambient(["check", "-n", "default", "-o", "json"])?;
        check.kubeconfig(who.kubeconfig()).run()
    };
    let done = check(&checker)?.exited(0)?;
    assert_eq!(essence(&done.json()?), admin);
    assert!(!done.stderr.contains("not seen"), "{done}");
    for (index, (rule, _)) in all.iter().enumerate() {
        checker.permit(&without(&all, index))?;
        let done = check(&checker)?;
        let journals = rule.contains("configmaps") && rule.contains("list");
        let absent = [
            "argoproj.io",
            "cilium.io",
            "projectcalico.org",
            "policy.networking.k8s.io",
        ];
        if absent.iter().any(|group| rule.contains(group)) {
            // Not served here: there is nothing to be looked at.
            assert_eq!(essence(&done.exited(0)?.json()?), admin);
        } else if journals {
            assert!(
                done.stderr.contains("was not seen"),
                "without {rule}: {done}"
            );
        } else {
            assert!(matches!(done.code(), Some(4 | 8)), "without {rule}: {done}");
        }
    }
    Ok(())
}

#[test]
fn a_move_is_begun_with_its_role_alone() -> Result {
    let plane = wealist::shared()?;
    let home = plane.namespace("mover", &[])?;
    let all = permissions(&roles(plane, &["convert", "-n", "default"])?);
    let mover = plane.identity(&home, &whole(&all))?;
    let tried = |who: &Identity| {
        let arguments = [
            "convert",
            "-n",
            "default",
            "--apply",
            "--dry-run=server",
            "--guard",
            "closed",
            "--yes",
        ];
        plane.ambient(arguments)?.kubeconfig(who.kubeconfig()).run()
    };
    let done = tried(&mover)?;
    assert!(!done.stderr.contains("no right"), "{done}");
    let code = done.code();
    // What the mesh needs nothing of may be missing; else it is refused before the first write.
    let mut refused = 0;
    for (index, (rule, _)) in all.iter().enumerate() {
        mover.permit(&without(&all, index))?;
        let done = tried(&mover)?;
        if done.code() != code {
            assert!(
                matches!(done.code(), Some(1 | 4 | 8)),
                "without {rule}: {done}"
            );
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused} of {} rules matter", all.len());
    Ok(())
}
