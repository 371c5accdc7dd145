# Two commands for somebody who has just cloned this: `make demo` and `make test`. Both install
# what the build needs where it is missing (Debian, as root or with sudo) and do nothing else to
# the machine. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto

CARGO ?= cargo
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
MUTANTS ?= src/verify/relying/*.rs

.DEFAULT_GOAL := help
.PHONY: help demo test check lint ladder deny advisories bench fuzz mutants deps rust-tools clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

# With the examples the build is the one of the tests, down to each library.
demo: deps ## a CA, logs, a trust engine and monitors on this machine, and what agents do told step by step
	$(CARGO) build --locked --workspace --bins --examples
	@"$${CARGO_TARGET_DIR:-target}/debug/atl" dev --dishonest

test: deps ## the whole test suite
	$(CARGO) test --locked --workspace

check: lint ladder deny ## format, lints, feature ladder, licences

lint: deps rust-tools
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Each rung builds by itself, without what the rungs above it bring.
ladder: deps rust-tools
	$(CARGO) clippy --locked --package atl --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --package atl --lib --no-default-features --features tls -- -D warnings
	$(CARGO) clippy --locked --package atl --lib --no-default-features --features client -- -D warnings

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked --config .deny.toml check bans licenses sources; \
	else echo "cargo-deny is not installed, licences and sources are not checked (cargo install --locked cargo-deny)"; fi

advisories: ## known faults in dependencies (needs cargo-deny, and the network for its database)
	$(CARGO) deny --locked --config .deny.toml check advisories

bench: deps ## measurements, with the same build as everything else
	$(CARGO) bench --locked --workspace --profile dev

# What the fuzzer finds is kept beside the build; only the seeds are in the repository. RUSTC_BOOTSTRAP
# lets stable Rust instrument the code, which nothing but this does.
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz: deps ## each fuzz target for FUZZ_SECONDS (needs cargo-fuzz), or those in FUZZ_TARGETS
	@$(CARGO) fuzz --version >/dev/null 2>&1 \
		|| { echo "cargo-fuzz is not installed: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@targets="$(FUZZ_TARGETS)"; [ -n "$$targets" ] || targets=$$($(CARGO) fuzz list --fuzz-dir tests/fuzz); \
	for target in $$targets; do \
		echo "== $$target for $(FUZZ_SECONDS) s"; \
		found="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/fuzz/$$target"; mkdir -p "$$found"; \
		dictionary=(); [ ! -e "tests/fuzz/dictionaries/$$target.dict" ] \
			|| dictionary=(-dict="$(CURDIR)/tests/fuzz/dictionaries/$$target.dict"); \
		$(CARGO) fuzz run --fuzz-dir tests/fuzz "$$target" "$$found" "$(CURDIR)/tests/fuzz/corpus/$$target" -- \
			"$${dictionary[@]}" -max_len=16384 -timeout=10 -max_total_time=$(FUZZ_SECONDS); \
	done

# Takes each check of the relying party away, one at a time, and says which of them no test would miss.
mutants: deps ## is every check of the relying party missed by a test? (needs cargo-mutants; MUTANTS names files)
	@$(CARGO) mutants --version >/dev/null 2>&1 \
		|| { echo "cargo-mutants is not installed: cargo install --locked cargo-mutants" >&2; exit 1; }
	$(CARGO) mutants --package atl --no-default-features --file '$(MUTANTS)' --exclude '**/tests/**' \
		--cargo-arg=--lib --output $${CARGO_TARGET_DIR:-$(CURDIR)/target} -- verify::

rust-tools:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 \
		|| rustup component add rustfmt clippy

# The database is C++ and its bindings are made by libclang; python3, openssl, curl and nginx are for tests,
# and so is chromium, in which the monitor's page is looked at.
deps:
	@missing=(); \
	need() { command -v "$$1" >/dev/null 2>&1 || missing+=("$$2"); }; \
	need cc build-essential; need c++ build-essential; need clang clang; need pkg-config pkg-config; need cmake cmake; \
	need git git; need python3 python3; need openssl openssl; need curl curl; \
	need chromium chromium; need chromedriver chromium-driver; \
	[ -x /usr/sbin/nginx ] || need nginx nginx-light; \
	[ -n "$${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null \
		|| compgen -G '/usr/lib/*/libclang*.so*' >/dev/null || missing+=(libclang-dev); \
	[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -n "$${SSL_CERT_FILE:-}" ] || missing+=(ca-certificates); \
	if [ $${#missing[@]} -gt 0 ]; then \
		as_root=(); [ "$$(id -u)" = 0 ] || as_root=(sudo); \
		if ! command -v apt-get >/dev/null || { [ "$$(id -u)" != 0 ] && ! command -v sudo >/dev/null; }; then \
			echo "please install: $${missing[*]}" >&2; exit 1; fi; \
		echo "installing $${missing[*]}"; \
		"$${as_root[@]}" apt-get update -q; \
		"$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}"; \
	fi
	@command -v $(CARGO) >/dev/null 2>&1 || { echo "Rust is not installed: see https://rustup.rs" >&2; exit 1; }

clean: ## forget everything that was built
	$(CARGO) clean
