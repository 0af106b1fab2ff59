//! Writes over objects as a server has them.

use serde_json::json;

use super::*;
use crate::kinds::Name;

fn object(kind: Kind) -> ObjectRef {
    ObjectRef::new(kind, &Name::from("shop"), &Name::from("pay"))
}

fn change(before: &Value, after: &Value) -> Write {
    Write::between(&object(Kind::AuthorizationPolicy), before, after)
}

#[test]
fn a_change_is_made_where_the_object_is_as_it_was() {
    let before = json!({"spec": {"rules": [{"from": [1]}]}, "metadata": {"labels": {"a": "b"}}});
    let after = json!({"spec": {"rules": [{"from": [1], "to": [2]}], "selector": {"x": "y"}},
        "metadata": {"labels": {"a": "b", "c": "d"}}});
    let write = change(&before, &after);
    for (write, from, to) in [
        (write.clone(), before.clone(), after.clone()),
        (write.undo().unwrap(), after, before),
    ] {
        assert_eq!(write.standing(Some(&to)), Standing::Made);
        assert!(matches!(write.standing(Some(&from)), Standing::Due(_)));
        assert_eq!(write.applied_to(Some(from)), Some(to));
    }
}

#[test]
fn what_others_write_beside_it_is_left_alone() {
    let write = change(
        &json!({"metadata": {}}),
        &json!({"metadata": {"labels": {"a": "b"}}}),
    );
    let theirs = json!({"metadata": {"labels": {"team": "x"}, "resourceVersion": "7"}});
    let Standing::Due(Request::Patch(patch)) = write.standing(Some(&theirs)) else {
        panic!("it is due");
    };
    let expected = json!({"metadata": {"labels": {"a": "b"}, "resourceVersion": "7"}});
    assert_eq!(patch, expected);
}

#[test]
fn a_field_that_somebody_changed_is_named() {
    let write = change(
        &json!({"spec": {"action": "ALLOW"}}),
        &json!({"spec": {"action": "DENY"}}),
    );
    let theirs = json!({"spec": {"action": "AUDIT"}});
    let Standing::Drifted(drifts) = write.standing(Some(&theirs)) else {
        panic!("it drifted");
    };
    assert_eq!(drifts[0].field, "spec.action");
    assert_eq!(drifts[0].says, r#"is "AUDIT", where "ALLOW" was expected"#);
    assert!(matches!(write.standing(None), Standing::Drifted(_)));
}

#[test]
fn a_server_may_fill_in_defaults_but_not_change_what_was_written() {
    let manifest = json!({"metadata": {"name": "pay", "annotations": {"k": "v"}},
        "spec": {"rules": [{"backendRefs": [{"name": "a"}]}]}});
    let create = Write::Create {
        object: object(Kind::HTTPRoute),
        manifest: manifest.clone(),
        generation: None,
    };
    let filled = json!({"metadata": {"name": "pay", "annotations": {"k": "v"}, "uid": "1", "resourceVersion": "2", "generation": 1},
        "spec": {"rules": [{"backendRefs": [{"name": "a", "weight": 1}]}]}});
    assert_eq!(
        create.standing(None),
        Standing::Due(Request::Apply(manifest))
    );
    assert_eq!(create.standing(Some(&filled)), Standing::Made);
    let mut other = filled.clone();
    other["spec"]["rules"] = json!([]);
    assert!(matches!(
        create.standing(Some(&other)),
        Standing::Drifted(_)
    ));
    let remove = create.undo().unwrap();
    let delete = Standing::Due(Request::Delete {
        uid: Some("1".to_owned()),
        resource_version: Some("2".to_owned()),
    });
    assert_eq!(remove.standing(Some(&filled)), delete);
    assert_eq!(remove.standing(None), Standing::Made);
    assert!(matches!(
        remove.standing(Some(&other)),
        Standing::Drifted(_)
    ));
}

#[test]
fn an_object_that_was_edited_since_is_not_removed() {
    let write = Write::Remove {
        object: object(Kind::HTTPRoute),
        manifest: json!({"spec": {"a": 1}}),
        generation: Some(1),
    };
    let edited = json!({"metadata": {"generation": 2}, "spec": {"a": 1, "b": 2}});
    assert!(matches!(
        write.standing(Some(&edited)),
        Standing::Drifted(_)
    ));
}

#[test]
fn a_restart_is_known_when_it_is_made() {
    let planned = Planned::Restart(object(Kind::CronJob));
    let current = json!({"spec": {"jobTemplate": {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: "1"}}}}}}});
    let write = planned.resolve(Some(&current), "2");
    let after = write.applied_to(Some(current.clone()));
    assert_eq!(write.undo().unwrap().applied_to(after), Some(current));
}

#[test]
fn writes_are_read_back() {
    let planned = Planned::Write(change(
        &json!({"spec": {"b": 2}}),
        &json!({"spec": {"a": 1}}),
    ));
    let text = serde_json::to_string(&planned).unwrap();
    assert_eq!(serde_json::from_str::<Planned>(&text).unwrap(), planned);
}

#[test]
fn what_goes_for_good_has_no_way_back() {
    let pod = ObjectRef::new(Kind::Pod, &"shop".into(), &"debug".into());
    let there = json!({"metadata": {"uid": "u"}});
    let write = Planned::Delete(pod.clone()).resolve(Some(&there), "now");
    assert_eq!(
        write.standing(Some(&there)),
        Standing::Due(Request::Delete {
            uid: Some("u".to_owned()),
            resource_version: None
        })
    );
    // One of the same name that somebody made since is another.
    let another = json!({"metadata": {"uid": "v"}});
    assert_eq!(write.standing(Some(&another)), Standing::Made);
    assert_eq!(write.standing(None), Standing::Made);
    assert_eq!(write.undo(), None);
}
