//! Runs over a cluster that is a map: from every point at which one may be interrupted, going on reaches
//! the same end, and going back the same start.

mod back;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::machine::{Next, Until, next, ready, until};
use super::*;
use crate::kinds::Kind;
use crate::plan::{Direction, Manner, Planned, Stage, Standing, Step, StepId, Write};

type Cluster = BTreeMap<ObjectRef, Value>;

fn object(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, &Name::from("shop"), &Name::from(name))
}

fn header() -> Header {
    Header {
        version: VERSION,
        run: RunId::new("2026-11-23T10:00:00Z", &[]),
        purpose: Purpose::Move,
        namespace: "shop".into(),
        cluster: None,
        home: None,
        began: "2026-11-23T10:00:00Z".to_owned(),
        who: "ann".to_owned(),
        client: "0.1.0".to_owned(),
        accepted: BTreeMap::new(),
        revision: None,
        to: None,
        seen: BTreeSet::new(),
        around: BTreeMap::new(),
        asked: None,
        parallel: 2,
        timeout: 600,
    }
}

/// Where a run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Before the entry of this number is kept.
    Before(usize),
    /// After the write that follows this entry was made, and before that is kept.
    AfterWrite(usize),
    Never,
}

/// Carries a run out as an executor does; `false` when it is cut.
fn drive(journal: &mut Journal, cluster: &mut Cluster, until: Until, cut: Cut) -> bool {
    let mut clock = journal.entries.len();
    loop {
        let steps = ready(journal, until);
        let Some(step) = steps.first().copied() else {
            return true;
        };
        // Steps of one wave take turns.
        let step = steps.get(clock % steps.len()).copied().unwrap_or(step);
        clock += 1;
        let note = |journal: &mut Journal, record: Record| {
            if cut == Cut::Before(journal.entries.len()) {
                return false;
            }
            journal.note("now", record);
            true
        };
        let (place, write) = match next(journal, step).expect("a step that is ready has something")
        {
            Next::Pass(step, stage, _) => {
                let passed = Record::Passed {
                    step,
                    stage,
                    unconfirmed: Vec::new(),
                };
                if !note(journal, passed) {
                    return false;
                }
                continue;
            }
            Next::Begin(place, planned) => {
                let write = planned.resolve(cluster.get(planned.object()), &format!("t{clock}"));
                if !note(
                    journal,
                    Record::Intent {
                        place,
                        write: write.clone(),
                    },
                ) {
                    return false;
                }
                (place, write)
            }
            Next::Resume(place, write) => (place, write),
        };
        let current = cluster.get(write.object()).cloned();
        let standing = write.standing(current.as_ref());
        assert!(
            !matches!(standing, Standing::Drifted(_)),
            "{write:?}: {standing:?}"
        );
        match write.applied_to(current) {
            Some(after) => cluster.insert(write.object().clone(), served(after)),
            None => cluster.remove(write.object()),
        };
        if cut == Cut::AfterWrite(journal.entries.len()) {
            return false;
        }
        if !note(
            journal,
            Record::Made {
                place,
                generation: None,
            },
        ) {
            return false;
        }
    }
}

/// An object as a server keeps it: without maps of labels or annotations that are empty.
fn served(mut object: Value) -> Value {
    for meta in ["/metadata", "/spec/template/metadata"] {
        let meta = object.pointer_mut(meta).and_then(Value::as_object_mut);
        if let Some(meta) = meta {
            meta.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
        }
    }
    object
}

/// The journal as somebody else finds it.
fn found(journal: &Journal) -> Journal {
    let pages = pages_of(journal).expect("it fits");
    read_pages(&pages.0).expect("it is whole")
}

fn check(start: &Cluster, plan: &Plan) {
    let mut end = start.clone();
    let mut whole = Journal::new(header(), plan.clone());
    assert!(drive(&mut whole, &mut end, Until::Finished, Cut::Never));
    for at in 0..=whole.entries.len() {
        for cut in [Cut::Before(at), Cut::AfterWrite(at)] {
            let mut cluster = start.clone();
            let mut journal = Journal::new(header(), plan.clone());
            drive(&mut journal, &mut cluster, Until::Finished, cut);
            let journal = found(&journal);
            // On.
            let (mut resumed, mut reached) = (journal.clone(), cluster.clone());
            assert!(drive(
                &mut resumed,
                &mut reached,
                Until::Finished,
                Cut::Never
            ));
            assert_eq!(
                without_times(&reached),
                without_times(&end),
                "on from {cut:?}"
            );
            // Back.
            let undo = undo(&journal, None).expect("the whole run can be undone");
            let mut back = Journal::new(header(), undo.plan);
            let mut restored = cluster;
            assert!(drive(&mut back, &mut restored, Until::Finished, Cut::Never));
            assert_eq!(&restored, start, "back from {cut:?}");
        }
    }
    // Back, interrupted, and on; and what was undone is done again.
    let undone = undo(&whole, None).expect("it can be undone").plan;
    let mut whole_back = Journal::new(header(), undone.clone());
    let mut restored = end.clone();
    assert!(drive(
        &mut whole_back,
        &mut restored,
        Until::Finished,
        Cut::Never
    ));
    for at in 0..=whole_back.entries.len() {
        let mut back = Journal::new(header(), undone.clone());
        let mut cluster = end.clone();
        drive(
            &mut back,
            &mut cluster,
            Until::Finished,
            Cut::AfterWrite(at),
        );
        let mut back = found(&back);
        assert!(drive(&mut back, &mut cluster, Until::Finished, Cut::Never));
        assert_eq!(&cluster, start);
    }
    let again = undo(&whole_back, None)
        .expect("a rollback can be undone")
        .plan;
    assert_eq!(again.direction, Direction::Forward);
    let mut again = Journal::new(header(), again);
    assert!(drive(
        &mut again,
        &mut restored,
        Until::Finished,
        Cut::Never
    ));
    assert_eq!(restored, end);
}

/// Restarts of two runs differ by their times.
fn without_times(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    for object in cluster.values_mut() {
        if let Some(annotation) = object
            .pointer_mut("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt")
        {
            *annotation = Value::Null;
        }
    }
    cluster
}

fn step(id: StepId, wave: u32, stages: Vec<Vec<Planned>>) -> Step {
    let stages = stages.into_iter().map(|writes| Stage {
        writes,
        ..Stage::default()
    });
    Step {
        id,
        wave,
        stages: stages.collect(),
        rollouts: Vec::new(),
        risks: Vec::new(),
    }
}

fn plan_of(steps: Vec<Step>, manner: Manner) -> Plan {
    Plan {
        namespace: "shop".into(),
        direction: Direction::Forward,
        manner,
        steps,
        remainder: Vec::new(),
        rest: Vec::new(),
        bypasses: Vec::new(),
    }
}

/// A namespace as it is before a run.
fn before() -> Cluster {
    Cluster::from([
        (
            namespace(),
            json!({"metadata": {"labels": {"istio-injection": "enabled", "team": "a"}}}),
        ),
        (
            object(Kind::Deployment, "cart"),
            json!({"spec": {"template": {"metadata": {"labels": {"app": "cart"}}}}}),
        ),
        (
            object(Kind::Deployment, "pay"),
            json!({"spec": {"template": {"metadata": {"labels": {"app": "pay", "istio.io/rev": "x"}, "annotations": {"a": "b"}}}}}),
        ),
        (
            object(Kind::Service, "pay"),
            json!({"metadata": {"labels": {"app": "pay"}}}),
        ),
        (
            object(Kind::AuthorizationPolicy, "pay"),
            json!({"spec": {"rules": [{"to": [1]}], "selector": {"matchLabels": {"app": "pay"}}}}),
        ),
        (
            object(Kind::VirtualService, "pay"),
            json!({"metadata": {}, "spec": {"hosts": ["pay"]}}),
        ),
    ])
}

fn namespace() -> ObjectRef {
    ObjectRef::new(Kind::Namespace, &Name::from(""), &Name::from("shop"))
}

/// A namespace with each kind of step.
#[expect(clippy::too_many_lines, reason = "one table of all steps")]
fn scene(manner: Manner) -> (Cluster, Plan) {
    let namespace = namespace();
    let start = before();
    let create = |kind, name: &str, spec: Value| {
        Planned::Write(Write::Create {
            object: object(kind, name),
            manifest: json!({"metadata": {"annotations": {"kubectl-ambient/source": "x"}}, "spec": spec}),
            generation: None,
        })
    };
    let change = |of: &ObjectRef, patch: Value| {
        let before = start[of].clone();
        let mut after = before.clone();
        crate::translate::change::merge(&mut after, &patch);
        Planned::Write(Write::between(of, &before, &after))
    };
    let switch = |name: &str| {
        change(
            &object(Kind::Deployment, name),
            json!({"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false", "istio.io/rev": null}}}}}),
        )
    };
    let policy = object(Kind::AuthorizationPolicy, "pay");
    let narrowed = json!({"spec": {"rules": [{"to": [1], "from": [2]}], "selector": {"matchLabels": {"tls": "istio"}}}});
    let mut finished = start[&policy].clone();
    crate::translate::change::merge(&mut finished, &narrowed);
    let gateway = object(Kind::Gateway, "waypoint");
    let steps = vec![
        step(
            StepId::Hbone,
            0,
            vec![vec![Planned::Restart(object(Kind::Deployment, "cart"))]],
        ),
        step(
            StepId::Waypoint,
            1,
            vec![
                vec![create(
                    Kind::Gateway,
                    "waypoint",
                    json!({"class": "istio-waypoint"}),
                )],
                vec![Planned::Set {
                    object: gateway,
                    path: vec!["spec".to_owned(), "replicas".to_owned()],
                    value: 2.into(),
                }],
            ],
        ),
        step(
            StepId::Policies,
            2,
            vec![
                vec![create(
                    Kind::AuthorizationPolicy,
                    "pay-wp",
                    json!({"rules": []}),
                )],
                vec![change(&policy, narrowed)],
            ],
        ),
        step(
            StepId::Bind,
            3,
            vec![
                vec![change(
                    &object(Kind::Service, "pay"),
                    json!({"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}}),
                )],
                vec![change(
                    &namespace,
                    json!({"metadata": {"labels": {"istio.io/dataplane-mode": "ambient"}}}),
                )],
            ],
        ),
        step(
            StepId::Switch("cart".to_owned()),
            4,
            vec![vec![switch("cart")]],
        ),
        step(
            StepId::Switch("pay".to_owned()),
            4,
            vec![vec![switch("pay")]],
        ),
        step(
            StepId::Injection,
            5,
            vec![vec![change(
                &namespace,
                json!({"metadata": {"labels": {"istio-injection": null}}}),
            )]],
        ),
        step(
            StepId::Routes("pay".to_owned()),
            6,
            vec![
                vec![create(Kind::HTTPRoute, "pay", json!({"rules": []}))],
                vec![Planned::Write(Write::Remove {
                    object: object(Kind::VirtualService, "pay"),
                    manifest: start[&object(Kind::VirtualService, "pay")].clone(),
                    generation: None,
                })],
            ],
        ),
        step(StepId::Verify, 7, vec![vec![]]),
        step(
            StepId::Finish,
            8,
            vec![vec![Planned::Write(Write::Remove {
                object: policy,
                manifest: finished,
                generation: None,
            })]],
        ),
    ];
    (start, plan_of(steps, manner))
}

#[test]
fn from_every_prefix_a_run_goes_on_to_the_same_end_and_back_to_the_same_start() {
    for manner in [Manner::Templates, Manner::Namespace] {
        let (start, plan) = scene(manner);
        check(&start, &plan);
    }
}

#[test]
fn a_namespace_that_decides_about_sidecars_injects_before_pods_are_replaced() {
    let order =
        |plan: &Plan| -> Vec<String> { plan.steps.iter().map(|s| s.id.to_string()).collect() };
    let (start, mut plan) = scene(Manner::Namespace);
    plan.steps.swap(4, 6);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    assert!(drive(&mut journal, &mut cluster, Until::Done, Cut::Never));
    let back = undo(&journal, None).unwrap().plan;
    assert_eq!(
        order(&back),
        [
            "routes/pay",
            "injection",
            "switch/cart",
            "switch/pay",
            "bind",
            "policies",
            "waypoint",
            "hbone"
        ]
    );
    let (start, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    assert!(drive(&mut journal, &mut cluster, Until::Done, Cut::Never));
    let back = undo(&journal, None).unwrap().plan;
    assert_eq!(
        order(&back),
        [
            "routes/pay",
            "injection",
            "switch/pay",
            "switch/cart",
            "bind",
            "policies",
            "waypoint",
            "hbone"
        ]
    );
    assert_eq!(
        back.steps[2].wave, back.steps[3].wave,
        "those that were switched side by side go back so"
    );
}

#[test]
fn a_rollback_to_a_step_leaves_what_came_before() {
    let (start, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    assert!(drive(&mut journal, &mut cluster, Until::Done, Cut::Never));
    let undo = undo(&journal, Some(&StepId::Bind)).unwrap();
    let order: Vec<String> = undo
        .plan
        .steps
        .iter()
        .map(|step| step.id.to_string())
        .collect();
    assert_eq!(
        order,
        ["routes/pay", "injection", "switch/pay", "switch/cart"]
    );
    assert_eq!(
        undo.left,
        [
            StepId::Hbone,
            StepId::Waypoint,
            StepId::Policies,
            StepId::Bind
        ]
    );
    assert_eq!(
        super::undo(&journal, Some(&StepId::Switch("none".to_owned()))),
        None
    );
}

#[test]
fn what_a_run_changed_after_it_made_it_is_removed_all_the_same() {
    let guard = object(Kind::AuthorizationPolicy, "guard");
    let manifest = json!({"spec": {"a": 1}});
    let create = Write::Create {
        object: guard.clone(),
        manifest: manifest.clone(),
        generation: None,
    };
    let change = Write::between(&guard, &manifest, &json!({"spec": {"a": 2}}));
    let undone = |writes: &[Write]| {
        let stages = writes
            .iter()
            .map(|write| vec![Planned::Write(write.clone())]);
        let steps = vec![step(StepId::Policies, 0, stages.collect())];
        let mut journal = Journal::new(header(), plan_of(steps, Manner::Templates));
        for (stage, write) in writes.iter().enumerate() {
            let place = Place {
                step: 0,
                stage,
                write: 0,
            };
            let write = write.clone();
            journal.note("now", Record::Intent { place, write });
            let generation = Some(1);
            journal.note("now", Record::Made { place, generation });
        }
        let plan = undo(&journal, None).unwrap().plan;
        let last = plan.steps[0].writes().last().cloned();
        let Some(Planned::Write(Write::Remove { generation, .. })) = last else {
            panic!("it is removed last: {last:?}");
        };
        generation
    };
    assert_eq!(undone(std::slice::from_ref(&create)), Some(1));
    assert_eq!(undone(&[create, change]), None);
}

#[test]
fn the_step_finish_waits_for_a_command_of_its_own() {
    let (start, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    assert!(drive(&mut journal, &mut cluster, Until::Done, Cut::Never));
    assert!(cluster.contains_key(&object(Kind::AuthorizationPolicy, "pay")));
    assert_eq!(ready(&journal, Until::Done), Vec::<usize>::new());
    assert_eq!(ready(&journal, Until::Finished), [9]);
}

#[test]
fn a_run_that_was_being_finished_goes_on_to_its_end() {
    let (mut cluster, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    assert!(drive(&mut journal, &mut cluster, Until::Done, Cut::Never));
    let resumed = || Record::Resumed {
        who: "bob".to_owned(),
    };
    journal.note("", resumed());
    assert_eq!(until(&journal), Until::Done);
    journal.note("", Record::Done { remainder: vec![] });
    // Killed right after it was begun.
    journal.note("", resumed());
    assert_eq!(until(&journal), Until::Finished);
}

#[test]
fn steps_of_a_wave_are_ready_together_and_others_wait() {
    let (_, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    assert_eq!(ready(&journal, Until::Done), [0]);
    for step in 0..4 {
        while let Some(next) = next(&journal, step) {
            match next {
                Next::Pass(step, stage, _) => {
                    journal.note(
                        "now",
                        Record::Passed {
                            step,
                            stage,
                            unconfirmed: Vec::new(),
                        },
                    );
                }
                Next::Begin(place, planned) => {
                    let write = planned.resolve(None, "now");
                    journal.note("now", Record::Intent { place, write });
                    journal.note(
                        "now",
                        Record::Made {
                            place,
                            generation: None,
                        },
                    );
                }
                Next::Resume(..) => unreachable!(),
            }
        }
    }
    assert_eq!(ready(&journal, Until::Done), [4, 5]);
}

#[test]
fn pages_are_read_back_and_damage_is_named() {
    let (start, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    drive(&mut journal, &mut cluster, Until::Done, Cut::Never);
    let Pages(pages) = pages_of(&journal).unwrap();
    assert_eq!(read_pages(&pages), Ok(journal.clone()));
    // A crash cuts a file's last line.
    let mut cut = pages.clone();
    let last = cut.last_mut().unwrap();
    last.truncate(last.len() - 5);
    let read = read_pages(&cut).unwrap();
    assert_eq!(read.entries.len() + 1, journal.entries.len());
    // A line in the middle is gone.
    let text = pages.concat();
    let lines: Vec<&str> = text.lines().collect();
    for missing in 2..lines.len() - 1 {
        let mut rest = lines.clone();
        rest.remove(missing);
        let damaged = read_pages(&[rest.join("\n") + "\n"]);
        assert!(
            matches!(damaged, Err(Damage::Broken(_))),
            "line {missing}: {damaged:?}"
        );
    }
    let newer = text.replacen(r#""version":1"#, r#""version":9"#, 1);
    assert!(matches!(
        read_pages(&[newer]),
        Err(Damage::Newer { found: 9, .. })
    ));
    assert!(matches!(read_pages(&[]), Err(Damage::Broken(_))));
}

#[test]
fn pages_hold_whole_lines() {
    let mut pages = Pages::default();
    let line = "x".repeat(25 * 1024);
    let at: Vec<usize> = (0..5).map(|_| pages.add(&line).unwrap()).collect();
    assert_eq!(at, [0, 0, 1, 1, 2]);
    assert!(pages.add(&"x".repeat(PAGE)).is_err());
}

#[test]
fn runs_that_begin_together_have_names_of_their_own() {
    let first = RunId::new("2026-11-23T10:41:08.123Z", &[]);
    assert_eq!(first.as_str(), "20261123-104108");
    let second = RunId::new("2026-11-23T10:41:08Z", std::slice::from_ref(&first));
    assert_eq!(second.as_str(), "20261123-104108-2");
}

/// A step's writes over a few objects, each consistent with what the steps before it leave.
fn random_plan() -> impl Strategy<Value = (Cluster, Plan)> {
    let write = (0_usize..4, 0_u8..6);
    let steps = prop::collection::vec((0_u32..2, prop::collection::vec(write, 1..4)), 1..6);
    (prop::collection::vec(any::<bool>(), 4), steps).prop_map(|(present, drawn)| {
        let name = |n: usize| object(Kind::Service, &format!("s{n}"));
        let start: Cluster = present
            .iter()
            .enumerate()
            .filter(|(_, present)| **present)
            .map(|(n, _)| {
                (
                    name(n),
                    json!({"metadata": {"labels": {"n": "0"}}, "spec": {"v": 0}}),
                )
            })
            .collect();
        let mut cluster = start.clone();
        let mut steps = Vec::new();
        let mut wave = 0;
        for (at, (advance, writes)) in drawn.into_iter().enumerate() {
            wave += advance + 1;
            let planned: Vec<Planned> = writes
                .into_iter()
                .map(|(n, verb)| {
                    let of = name(n);
                    let manifest = json!({"metadata": {"labels": {"n": "1"}}, "spec": {"v": verb}});
                    let write = match (cluster.get(&of), verb) {
                        (None, _) => Write::Create {
                            object: of.clone(),
                            manifest,
                            generation: None,
                        },
                        (Some(now), 0) => Write::Remove {
                            object: of.clone(),
                            manifest: now.clone(),
                            generation: None,
                        },
                        (Some(now), _) => Write::between(&of, now, &manifest),
                    };
                    match write.applied_to(cluster.get(&of).cloned()) {
                        Some(after) => cluster.insert(of, after),
                        None => cluster.remove(&of),
                    };
                    Planned::Write(write)
                })
                .collect();
            steps.push(step(StepId::Routes(format!("h{at}")), wave, vec![planned]));
        }
        (start, plan_of(steps, Manner::Templates))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_run_goes_on_and_back_from_any_point((start, plan) in random_plan()) {
        check(&start, &plan);
    }
}
