.PHONY: test testbed controlplane oracle bench bench-cluster soak mutants docs fuzz dist reference pictures test-go format check-format check-gofmt check-licences

test: # everything CI checks; ends with "N passed, N failed, N skipped"
	@cargo run --quiet --locked --manifest-path tests/tally/Cargo.toml --target-dir target/tally

controlplane: # the programs of the real control plane that tests run on, and the oracle; needs Go (tests/controlplane/README.md)
	@cd tests && CGO_ENABLED=0 go run -trimpath -gcflags=all=-dwarf=false ./controlplane/cmd/build --out ../target/testbed/bin

oracle: controlplane # istiod's translation, and the real Envoy that runs it; needs Python as well
	@target/testbed/bin/oracle install-envoy --out target/testbed/envoy

testbed: oracle # all that the tests against a control plane and an Envoy stand on

bench: # time and memory of `check` on generated meshes
	cargo bench --locked --bench mesh

bench-cluster: controlplane # time and memory of `check -A` against a real API server, beside its peers
	cargo bench --locked --bench cluster

soak: # the property tests of the library with 200 times their cases, runs killed after every single write, all faults: about an hour
	PROPTEST_CASES=51200 cargo test --locked --release --lib
	KUBECTL_AMBIENT_EVERY_CUT=1 cargo test --locked --test e2e -- --nocapture killed bad_line

mutants: controlplane # a program that takes a kind of step for verified without looking: a test must fail, for each kind
	RUSTFLAGS="--cfg mutant" cargo test --locked --target-dir target/mutants --test e2e -- --nocapture mutants

# Platforms whose standard library is not installed are named as not built. What the checksums of plugin.yaml
# are of stands in target/dist-archives afterwards.
dist: # archives, checksums, licences, bills of materials, and the manifest for krew
	cargo run --quiet --locked --package dist
	cargo test --quiet --locked --package dist
	cargo test --quiet --locked --test krew

reference: # the reference of all commands and flags, the man pages, and the schemas of documents
	UPDATE_REFERENCE=1 cargo test --quiet --locked --test reference --test schemas

pictures: # the pictures of the README, made of what the program prints
	UPDATE_PICTURES=1 cargo test --quiet --locked --test pictures

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Needs cargo-fuzz (cargo install --locked cargo-fuzz@0.13.2). The corpus is kept in fuzz/corpus.
TARGET ?= manifest
SECONDS ?= 600
fuzz: # a target for a while: make fuzz TARGET=manifest SECONDS=600
	mkdir -p fuzz/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) fuzz/corpus/$(TARGET) examples/wealist -- -max_total_time=$(SECONDS) -timeout=10

test-go: # the parts of the control plane, by Go's own tests
	@cd tests && CGO_ENABLED=0 go test -vet=off -trimpath -gcflags=all=-dwarf=false ./controlplane/...

# `cargo fmt` does not find modules that a macro declares, as those of checks are.
RUST = $(shell find src tests krew benches fuzz -name '*.rs' -not -path '*/target/*')
format: # formats all Rust
	@rustfmt --edition 2024 $(RUST)
check-format:
	@rustfmt --edition 2024 --check $(RUST)

check-gofmt:
	@unformatted=$$(gofmt -l tests/controlplane tests/oracle) && test -z "$$unformatted" || \
		{ echo "gofmt these:" $$unformatted; exit 1; }

check-licences:
	cargo deny --locked check licenses
