//! Reads what Rust's test harness prints, and keeps the count.

use std::fmt::Write;

/// What came of all checks so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: usize,
    failures: Vec<String>,
    skips: Vec<(String, String)>,
}

impl Tally {
    /// A check that counts as one.
    pub fn whole(&mut self, name: &str, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            self.failures.push(name.to_owned());
        }
    }

    /// A check whose tool is not there.
    pub fn missing(&mut self, name: &str, reason: &str, in_ci: bool) {
        if in_ci {
            self.failures.push(format!("{name}: {reason}"));
        } else {
            self.skips.push((name.to_owned(), reason.to_owned()));
        }
    }

    /// A check that could not be run because one that it stands on failed.
    pub fn not_run(&mut self, name: &str, failed: &str) {
        self.failures
            .push(format!("{name}: not run, because of `{failed}`"));
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.failures.len()
    }

    /// Failures by name, skips by reason, and the count as the last line.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for name in &self.failures {
            let _ = writeln!(text, "failed: {name}");
        }
        let mut skips: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, reason) in &self.skips {
            match skips.iter_mut().find(|(r, _)| r == reason) {
                Some((_, names)) => names.push(name),
                None => skips.push((reason, vec![name])),
            }
        }
        for (reason, names) in skips {
            let _ = writeln!(text, "skipped: {}: {reason}", names.join(", "));
        }
        let _ = write!(
            text,
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failures.len(),
            self.skips.len()
        );
        text
    }
}

/// Follows the output of one `cargo test`, which runs several test programs.
#[derive(Debug, Default)]
pub struct Reader {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    skips: Vec<(String, String)>,
    begun: usize,
    ended: usize,
}

impl Reader {
    /// Takes note of a line of standard output.
    pub fn line(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.begun += 1;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.ended += 1;
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
        } else if let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            match outcome.split_once(", ").unwrap_or((outcome, "")) {
                ("FAILED", _) => self.failures.push(name.to_owned()),
                ("ignored", "") => self.skip(name, "no reason given"),
                ("ignored", reason) => self.skip(name, reason),
                _ => {}
            }
        }
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.skips.push((name.to_owned(), reason.to_owned()));
    }

    /// Adds what was read to the count. The harness's own sums decide: a name that was not seen
    /// is still counted, and a program that ended without a sum is a failure.
    pub fn finish(mut self, check: &str, ok: bool, tally: &mut Tally) {
        for n in self.failures.len()..self.failed {
            self.failures.push(format!("{check}: failure {}", n + 1));
        }
        for n in self.skips.len()..self.ignored {
            self.skip(&format!("{check}: skip {}", n + 1), "no reason seen");
        }
        for _ in self.ended..self.begun {
            let what = format!("{check}: a test program ended before its result");
            self.failures.push(what);
        }
        if !ok && self.failures.is_empty() {
            self.failures
                .push(format!("{check}: did not build or did not start"));
        }
        if ok && self.ended == 0 {
            self.failures.push(format!("{check}: no test was run"));
        }
        tally.passed += self.passed;
        tally.failures.append(&mut self.failures);
        tally.skips.append(&mut self.skips);
    }
}

/// The number before `word`, as in `ok. 12 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> usize {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, ok: bool) -> Tally {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        let mut tally = Tally::default();
        reader.finish("tests", ok, &mut tally);
        tally
    }

    const GREEN: &str = "
running 3 tests
test exit::tests::worst ... ok
test a::b - should panic ... ok
test store::locks ... ignored, needs a cluster

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test src/lib.rs - plan (line 7) ... ignored

test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn sums_over_programs_and_names_skips() {
        assert_eq!(
            read(GREEN, true).report(),
            "skipped: store::locks: needs a cluster\n\
             skipped: src/lib.rs - plan (line 7): no reason given\n\
             2 passed, 0 failed, 2 skipped"
        );
    }

    #[test]
    fn names_failures() {
        let output = "running 2 tests
test a ... FAILED
test b ... ok
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        let tally = read(output, false);
        assert_eq!(tally.report(), "failed: a\n1 passed, 1 failed, 0 skipped");
        assert_eq!(tally.failed(), 1);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let tally = read("running 2 tests\ntest a ... ok\n", false);
        assert_eq!(
            tally.report(),
            "failed: tests: a test program ended before its result\n0 passed, 1 failed, 0 skipped"
        );
    }

    #[test]
    fn nothing_built_is_a_failure() {
        assert_eq!(read("", false).failed(), 1);
    }

    #[test]
    fn nothing_run_is_a_failure() {
        assert_eq!(read("", true).failed(), 1);
    }

    #[test]
    fn counts_do_not_depend_on_the_lines_of_tests() {
        let output = "running 4 tests
test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        let tally = read(output, false);
        assert!(tally.report().ends_with("1 passed, 2 failed, 1 skipped"));
    }

    #[test]
    fn a_missing_tool_is_a_skip_except_in_ci() {
        let mut tally = Tally::default();
        tally.missing("licences", "`cargo deny` is not installed", false);
        tally.missing("bans", "`cargo deny` is not installed", false);
        assert_eq!(
            tally.report(),
            "skipped: licences, bans: `cargo deny` is not installed\n0 passed, 0 failed, 2 skipped"
        );
        tally.missing("licences", "`cargo deny` is not installed", true);
        assert_eq!(tally.failed(), 1);
    }

    #[test]
    fn what_stands_on_a_failure_fails() {
        let mut tally = Tally::default();
        tally.whole("control plane", false);
        tally.not_run("end to end", "control plane");
        assert_eq!(
            tally.report(),
            "failed: control plane\nfailed: end to end: not run, because of `control plane`\n\
             0 passed, 2 failed, 0 skipped"
        );
    }
}
