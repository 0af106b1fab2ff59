//! Ways back, and there again: what they verify, and what they left out.

use super::*;
use crate::plan::{Condition, Rollout};

/// A move that came to its end, and what is there then.
fn moved(until: Until) -> (Journal, Cluster) {
    let (start, mut plan) = scene(Manner::Templates);
    let pods = Condition::NoSidecars {
        namespace: "shop".into(),
        except: Vec::new(),
    };
    for step in &mut plan.steps {
        match step.id {
            StepId::Verify => step.stages[0].gate = vec![pods.clone()],
            StepId::Finish => step.stages.insert(
                0,
                Stage {
                    gate: vec![pods.clone()],
                    ..Stage::default()
                },
            ),
            StepId::Switch(_) => {
                let workload = step.writes().next().unwrap().object().clone();
                step.rollouts.push(Rollout {
                    workload,
                    pods: 1,
                    strategy: "RollingUpdate".to_owned(),
                    turns: 1,
                    min_ready_seconds: 0,
                });
            }
            _ => {}
        }
    }
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    assert!(drive(&mut journal, &mut cluster, until, Cut::Never));
    let done = Record::Done {
        remainder: Vec::new(),
    };
    journal.note("now", done);
    (journal, cluster)
}

fn names(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.id.to_string()).collect()
}

#[test]
fn what_is_done_again_is_verified_again_and_can_be_finished() {
    for until in [Until::Done, Until::Finished] {
        let (journal, mut cluster) = moved(until);
        let end = cluster.clone();
        let mut back = Journal::new(header(), undo(&journal, None).unwrap().plan);
        // The way back looks once more, too: that what was switched has its sidecars.
        let last = back.plan.steps.last().unwrap();
        assert_eq!(last.id, StepId::Verify);
        assert!(matches!(
            last.stages[0].gate.as_slice(),
            [Condition::NoAmbient { of, .. }] if of.len() == 2
        ));
        assert!(drive(&mut back, &mut cluster, Until::Finished, Cut::Never));
        back.note("now", Record::Finished);
        let back = found(&back);
        let mut again = Journal::new(header(), undo(&back, None).unwrap().plan);
        assert_eq!(names(&again.plan), names(&journal.plan), "{until:?}");
        let gates = |journal: &Journal, id: &StepId| -> Vec<Condition> {
            let step = &journal.plan.steps[journal.plan.position(id).unwrap()];
            step.stages
                .iter()
                .flat_map(|stage| stage.gate.clone())
                .collect()
        };
        for id in [StepId::Verify, StepId::Finish] {
            assert_eq!(gates(&again, &id), gates(&journal, &id), "{id} {until:?}");
        }
        let waves: Vec<u32> = again.plan.steps.iter().map(|step| step.wave).collect();
        assert!(waves.is_sorted() && waves[waves.len() - 3..].windows(2).all(|w| w[0] < w[1]));
        assert!(drive(&mut again, &mut cluster, until, Cut::Never));
        assert_eq!(without_times(&cluster), without_times(&end), "{until:?}");
    }
}

#[test]
fn what_never_arrived_is_not_verified_when_it_is_done_again() {
    let (start, plan) = scene(Manner::Templates);
    let mut journal = Journal::new(header(), plan);
    let mut cluster = start;
    // It stops after the first workload.
    let cut = 27;
    assert!(!drive(
        &mut journal,
        &mut cluster,
        Until::Done,
        Cut::Before(cut)
    ));
    let mut back = Journal::new(header(), undo(&journal, None).unwrap().plan);
    assert!(drive(&mut back, &mut cluster, Until::Finished, Cut::Never));
    let again = undo(&back, None).unwrap().plan;
    assert_eq!(again.position(&StepId::Verify), None);
    assert_eq!(again.position(&StepId::Finish), None);
}

#[test]
fn what_was_kept_is_made_when_it_is_reopened() {
    let (journal, mut cluster) = moved(Until::Done);
    let mut back = Journal::new(header(), undo(&journal, None).unwrap().plan);
    let step = back.plan.position(&StepId::Policies).unwrap();
    let place = Place {
        step,
        stage: 0,
        write: 0,
    };
    let drift = vec![crate::plan::Drift {
        field: "spec".to_owned(),
        says: "is mine".to_owned(),
    }];
    back.note("now", Record::Kept { place, drift });
    assert!(drive(&mut back, &mut cluster, Until::Finished, Cut::Never));
    back.note("now", Record::Finished);
    assert_eq!(ready(&back, Until::Finished), Vec::<usize>::new());
    assert_eq!(back.state().kept().count(), 1);
    back.note(
        "now",
        Record::Resumed {
            who: "ann".to_owned(),
        },
    );
    let places = vec![place];
    back.note("now", Record::Reopened { places });
    let mut back = found(&back);
    assert_eq!(ready(&back, Until::Finished), [step]);
    assert!(matches!(next(&back, step), Some(Next::Begin(at, _)) if at == place));
    assert!(drive(&mut back, &mut cluster, Until::Finished, Cut::Never));
    assert_eq!(back.state().kept().count(), 0);
    assert_eq!(cluster, scene(Manner::Templates).0);
}
