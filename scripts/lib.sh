# Tools of the demo and of the tests: installed once into .tools/, pinned, nothing outside of it.
# To be sourced from a script that stands in scripts/.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS="$ROOT/.tools"
# aws-lambda-rie comes inside the SAM CLI's package.
SAM_VERSION=1.170.0
CARGO_LAMBDA_VERSION=1.9.2

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() { say "$*"; exit 1; }

# The Python with the peers in it.
python_tools() {
  command -v python3 > /dev/null || fail "python3 is needed"
  local venv="$TOOLS/python" stamp="$TOOLS/python/requirements.txt"
  if ! cmp -s "$ROOT/scripts/requirements.txt" "$stamp"; then
    say "installing moto, the OpenTelemetry SDK and pytest into .tools/python"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 has no venv: install the package python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/scripts/requirements.txt"
    cp "$ROOT/scripts/requirements.txt" "$stamp"
  fi
  PYTHON="$venv/bin/python"
}

# The Lambda runtime interface emulator.
emulator() {
  local folder="$TOOLS/emulator-$SAM_VERSION"
  if [ ! -d "$folder" ]; then
    say "installing the Lambda runtime interface emulator (from aws-sam-cli $SAM_VERSION) into .tools"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder.new" "aws-sam-cli==$SAM_VERSION"
    mv "$folder.new" "$folder"
  fi
}

# The Rust SDK as a client.
rust_client() {
  say "building the Rust SDK's client into .tools/rust-client"
  CARGO_TARGET_DIR="$TOOLS/rust-client" cargo build --quiet --locked --manifest-path "$ROOT/tests/e2e/rust_client/Cargo.toml"
}

# The SAM CLI, for checking the template.
sam_cli() {
  local venv="$TOOLS/sam-$SAM_VERSION"
  if [ ! -x "$venv/bin/sam" ]; then
    say "installing the SAM CLI $SAM_VERSION into .tools"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "aws-sam-cli==$SAM_VERSION" pytest
  fi
  SAM="$venv/bin/sam"
}

# cargo-lambda, with the cross compiler that it brings: what `sam build` builds the function with.
cargo_lambda() {
  local venv="$TOOLS/cargo-lambda-$CARGO_LAMBDA_VERSION"
  if [ ! -x "$venv/bin/cargo-lambda" ]; then
    say "installing cargo-lambda $CARGO_LAMBDA_VERSION into .tools"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "cargo-lambda==$CARGO_LAMBDA_VERSION"
  fi
  export PATH="$venv/bin:$PATH"
}

# MiniStack, in a Python of its own: its pins are not those of moto.
ministack_tool() {
  local version venv
  version="$(sed -n 's/^ministack==//p' "$ROOT/scripts/requirements-ministack.txt")"
  venv="$TOOLS/ministack-$version"
  if ! cmp -s "$ROOT/scripts/requirements-ministack.txt" "$venv/requirements.txt"; then
    say "installing MiniStack $version into .tools/ministack-$version"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 has no venv: install the package python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/scripts/requirements-ministack.txt"
    cp "$ROOT/scripts/requirements-ministack.txt" "$venv/requirements.txt"
  fi
  MINISTACK="$venv/bin/ministack"
}

# Prometheus from PATH, else Debian's package, unpacked beside the others: installing it would start a service.
prometheus_tool() {
  PROMETHEUS="$(command -v prometheus || true)"
  [ -n "$PROMETHEUS" ] && return
  PROMETHEUS="$TOOLS/prometheus/usr/bin/prometheus"
  if [ ! -x "$PROMETHEUS" ]; then
    command -v apt-get > /dev/null || fail "prometheus is not on PATH, and there is no apt-get to get it with"
    say "unpacking Debian's prometheus into .tools"
    mkdir -p "$TOOLS/prometheus"
    (
      cd "$TOOLS/prometheus"
      apt-get download prometheus > apt.log 2>&1 || { apt-get update > apt.log 2>&1 && apt-get download prometheus > apt.log 2>&1; }
      dpkg -x prometheus_*.deb .
    ) || fail "prometheus cannot be had: see .tools/prometheus/apt.log"
  fi
}

# The release binary.
release_binary() {
  say "building the release binary (some minutes the first time)"
  cargo build --release --locked --quiet
  BINARY="${CARGO_TARGET_DIR:-$ROOT/target}/release/sidecarless"
}

# Packages of the Node client; without npm its tests are skipped.
node_tools() {
  command -v npm > /dev/null || return 1
  local folder="$TOOLS/node" lock="tests/e2e/node/package-lock.json"
  if ! cmp -s "$ROOT/$lock" "$folder/package-lock.json" || [ ! -d "$folder/node_modules" ]; then
    say "installing the Node SDK of OpenTelemetry into .tools/node"
    rm -rf "$folder" && mkdir -p "$folder"
    cp "$ROOT"/tests/e2e/node/package*.json "$folder/"
    npm ci --silent --no-audit --no-fund --prefix "$folder" || return 1
  fi
}
