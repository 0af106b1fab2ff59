.PHONY: test controlplane oracle bench soak docs fuzz check-licences

test: # everything CI checks; ends with "N passed, N failed, N skipped"
	@cargo run --quiet --locked --manifest-path tests/tally/Cargo.toml --target-dir target/tally

controlplane: # the programs of the real control plane that tests run on, and the oracle; needs Go (tests/controlplane/README.md)
	@cd tests && CGO_ENABLED=0 go run -trimpath -gcflags=all=-dwarf=false ./controlplane/cmd/build --out ../target/testbed/bin

bench:
	cargo bench --locked

soak: # the property tests with many more cases
	PROPTEST_CASES=20000 cargo test --locked --release

oracle: # istiod's translation and a real Envoy, for tests/ground_truth; needs Go and Python
	cd tests && CGO_ENABLED=0 go build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o ../target/testbed/bin/ ./oracle
	target/testbed/bin/oracle install-envoy --out target/testbed/envoy

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Needs cargo-fuzz (cargo install --locked cargo-fuzz@0.13.2). The corpus is kept in fuzz/corpus.
TARGET ?= manifest
SECONDS ?= 600
fuzz: # a target for a while: make fuzz TARGET=manifest SECONDS=600
	mkdir -p fuzz/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) fuzz/corpus/$(TARGET) examples/wealist -- -max_total_time=$(SECONDS) -timeout=10

check-licences:
	cargo deny --locked check licenses
