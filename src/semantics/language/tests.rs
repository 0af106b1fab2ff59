//! Languages against direct membership.

use proptest::prelude::*;

use super::*;
use crate::soak::cases;

/// Texts over few letters, so that patterns meet.
const TEXT: &str = "/?[ab/]{0,4}";

fn patterns() -> impl Strategy<Value = Pattern> {
    let text = TEXT.prop_map(|text| format!("/{}", text.trim_start_matches('/')));
    prop_oneof![
        text.clone().prop_map(Pattern::exact),
        text.clone().prop_map(Pattern::prefix),
        text.clone().prop_map(Pattern::element),
        text.clone()
            .prop_map(|t| Pattern::prefix(t).ignoring_case()),
        text.clone().prop_map(|t| Pattern::regex(format!("{t}.*"))),
        text.clone()
            .prop_map(|t| Pattern::regex(format!("{t}[^/]+"))),
        text.prop_map(|t| Pattern::regex(format!("(/a|{t})+/?b*"))),
    ]
}

fn plain() -> impl Strategy<Value = Pattern> {
    let text = TEXT.prop_map(|text| format!("/{}", text.trim_start_matches('/')));
    prop_oneof![
        text.clone().prop_map(Pattern::exact),
        text.clone().prop_map(Pattern::prefix),
        text.prop_map(Pattern::element),
    ]
}

fn split(patterns: &[Pattern], forced: bool) -> (Vec<Predicate>, Cells) {
    let mut predicates: Vec<Predicate> = patterns.iter().cloned().map(Predicate::new).collect();
    if forced {
        // An expression sends everything through the product.
        predicates.push(Predicate::new(Pattern::regex("never|ever")));
    }
    let references: Vec<&Predicate> = predicates.iter().collect();
    let cells = cells(Domain::Path, &references, Bounds::default());
    (predicates, cells)
}

proptest! {
    #![proptest_config(cases(256))]

    /// Each witness is a value of its cell; each value is in a cell that was found.
    #[test]
    fn cells_are_those_of_direct_membership(
        patterns in prop::collection::vec(patterns(), 0..5),
        values in prop::collection::vec("/[abxAB/.-]{0,6}", 20),
    ) {
        let (predicates, cells) = split(&patterns, false);
        prop_assert!(cells.complete);
        let truth = |value: &str| Truth::of(predicates.iter().map(|p| p.contains(value).unwrap()));
        for cell in &cells.found {
            prop_assert!(Domain::Path.contains(&cell.witness), "{}", cell.witness);
            prop_assert_eq!(&truth(&cell.witness), &cell.truth, "{}", cell.witness);
        }
        for value in values.iter().filter(|value| Domain::Path.contains(value)) {
            let truth = truth(value);
            prop_assert!(cells.found.iter().any(|cell| cell.truth == truth), "{}", value);
        }
    }

    /// The trie and the product of automata find the same.
    #[test]
    fn the_trie_finds_what_automata_find(patterns in prop::collection::vec(plain(), 0..6)) {
        let (_, by_trie) = split(&patterns, false);
        let (_, by_product) = split(&patterns, true);
        let mut a: Vec<_> = by_trie.found.iter().map(|c| {
            (0..patterns.len()).map(|p| c.truth.get(p)).collect::<Vec<_>>()
        }).collect();
        let mut b: Vec<_> = by_product.found.iter().map(|c| {
            (0..patterns.len()).map(|p| c.truth.get(p)).collect::<Vec<_>>()
        }).collect();
        a.sort();
        b.sort();
        prop_assert_eq!(a, b);
    }

    /// A pattern and the automaton of it agree.
    #[test]
    fn automata_accept_what_patterns_do(pattern in patterns(), value in "/[abAB/]{0,6}") {
        let automaton = pattern.automaton().unwrap();
        let predicate = Predicate::new(pattern);
        prop_assert_eq!(Some(automaton.contains(value.as_bytes())), predicate.contains(&value));
    }
}

#[test]
fn expressions_that_spell_a_simple_form_become_it() {
    for (expression, expected) in [
        ("/api.*", Pattern::prefix("/api")),
        ("^/api.*$", Pattern::prefix("/api")),
        ("(/api)", Pattern::exact("/api")),
        ("/api(/.*)?", Pattern::element("/api")),
        ("/api(?:/.*)?", Pattern::element("/api")),
        (r"/a\.json", Pattern::exact("/a.json")),
        (".*", Pattern::any()),
        ("/.*", Pattern::prefix("/")),
        ("(?i)/api.*", Pattern::prefix("/API").ignoring_case()),
        ("(?i)/12.*", Pattern::prefix("/12")),
        ("", Pattern::exact("")),
    ] {
        assert_eq!(Pattern::regex(expression), expected, "{expression}");
    }
    for expression in ["/api.+", "/a|/b", "(?i:/a)b", "/[ab]", "[A]", "[aB]"] {
        let pattern = Pattern::regex(expression);
        let kept = matches!(pattern.shape(), Shape::Regex(_) | Shape::Exact(_));
        assert!(kept, "{expression} became {pattern}");
    }
}

#[test]
fn witnesses_read_well() {
    let witnesses = |domain: Domain, patterns: &[Pattern]| -> Vec<String> {
        let predicates: Vec<Predicate> = patterns.iter().cloned().map(Predicate::new).collect();
        let references: Vec<&Predicate> = predicates.iter().collect();
        let mut found: Vec<String> = cells(domain, &references, Bounds::default())
            .found
            .into_iter()
            .map(|cell| cell.witness)
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        witnesses(
            Domain::Path,
            &[Pattern::prefix("/api"), Pattern::element("/api")]
        ),
        ["/", "/api", "/apix"]
    );
    assert_eq!(
        witnesses(
            Domain::Path,
            &[Pattern::prefix("/api/"), Pattern::element("/api")]
        ),
        ["/", "/api", "/api/"]
    );
    assert_eq!(
        witnesses(
            Domain::Path,
            &[Pattern::regex("/item/[0-9]+"), Pattern::prefix("/item/1")]
        ),
        ["/", "/item/0", "/item/1", "/item/1x"]
    );
    assert_eq!(
        witnesses(Domain::Method, &[Pattern::exact("GET")]),
        ["GET", "POST"]
    );
    assert_eq!(witnesses(Domain::Path, &[Pattern::prefix("api")]), ["/"]);
}

#[test]
fn what_is_too_large_is_undecided_and_quickly_so() {
    for expression in ["(a|b)*a(a|b){30}", "(.{1,999}x){1,999}"] {
        let predicate = Predicate::new(Pattern::regex(expression));
        assert_eq!(predicate.undecided(), Some(Undecided::TooLarge));
        assert_eq!(predicate.contains("/"), None);
    }
    let predicate = Predicate::new(Pattern::regex("(?=a)"));
    assert_eq!(predicate.undecided(), Some(Undecided::Unreadable));
}

#[test]
fn a_bound_that_is_reached_is_told() {
    let patterns: Vec<Predicate> = ["/[ab]+c", "/.*bb.*", "/.*aa.*"]
        .map(|expression| Predicate::new(Pattern::regex(expression)))
        .into();
    let references: Vec<&Predicate> = patterns.iter().collect();
    let bounds = Bounds {
        cells: 4096,
        states: 5,
    };
    assert!(!cells(Domain::Path, &references, bounds).complete);
    let bounds = Bounds {
        cells: 2,
        states: 5000,
    };
    let few = cells(Domain::Path, &references, bounds);
    assert_eq!((few.found.len(), few.complete), (2, false));
}
