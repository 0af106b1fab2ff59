.PHONY: test bench soak docs fuzz check-licences

test: # everything CI checks; ends with "N passed, N failed, N skipped"
	@cargo run --quiet --locked --manifest-path tests/tally/Cargo.toml --target-dir target/tally

bench:
	cargo bench --locked

soak: # the property tests with many more cases
	PROPTEST_CASES=20000 cargo test --locked --release

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

fuzz: # make fuzz TARGET=name
	RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) -- -max_total_time=60

check-licences:
	cargo deny --locked check licenses
