//! How many cases property tests try: as many as each is worth in every run, and more in a long one.

use proptest::test_runner::Config;

/// What proptest tries where nobody says otherwise.
const USUAL: u64 = 256;

/// A test that tries this many cases in every run. `PROPTEST_CASES` (256 unless set) is a factor for all
/// of them, so that a test whose cases take long stays behind the quick ones in a long run as well.
pub(crate) fn cases(in_every_run: u32) -> Config {
    let config = Config::default();
    let cases = u64::from(in_every_run) * u64::from(config.cases) / USUAL;
    let cases = u32::try_from(cases.max(1)).unwrap_or(u32::MAX);
    Config {
        cases,
        // Of many cases, more are rejected than the default allows.
        max_global_rejects: cases.max(1_024),
        ..config
    }
}
