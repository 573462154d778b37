# Installs the tools of the demo and the tests. All tools are pinned and are installed once, into .tools/ only.
# Source this file from a script in scripts/.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS="$ROOT/.tools"
# The package of the SAM CLI includes aws-lambda-rie.
SAM_VERSION=1.170.0
CARGO_LAMBDA_VERSION=1.9.2

log() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() { log "$*"; exit 1; }

# Python with the test servers.
python_tools() {
  command -v python3 > /dev/null || fail "python3 is needed"
  local venv="$TOOLS/python" stamp="$TOOLS/python/requirements.txt"
  if ! cmp -s "$ROOT/scripts/requirements.txt" "$stamp"; then
    log "installing moto, the OpenTelemetry SDK and pytest into .tools/python"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "cannot create a virtual environment: install the package python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/scripts/requirements.txt"
    cp "$ROOT/scripts/requirements.txt" "$stamp"
  fi
  PYTHON="$venv/bin/python"
}

# Lambda runtime interface emulator.
emulator() {
  local folder="$TOOLS/emulator-$SAM_VERSION"
  if [ ! -d "$folder" ]; then
    log "installing the Lambda runtime interface emulator (from aws-sam-cli $SAM_VERSION) into .tools"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder.new" "aws-sam-cli==$SAM_VERSION"
    mv "$folder.new" "$folder"
  fi
}

# Client with the OpenTelemetry SDK for Rust.
rust_client() {
  log "building the client with the Rust SDK into .tools/rust-client"
  CARGO_TARGET_DIR="$TOOLS/rust-client" cargo build --quiet --locked --manifest-path "$ROOT/tests/e2e/rust_client/Cargo.toml"
}

# SAM CLI, to validate the template.
sam_cli() {
  local venv="$TOOLS/sam-$SAM_VERSION"
  if [ ! -x "$venv/bin/sam" ]; then
    log "installing the SAM CLI $SAM_VERSION into .tools"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "aws-sam-cli==$SAM_VERSION" pytest
  fi
  SAM="$venv/bin/sam"
}

# cargo-lambda, which includes a cross compiler. `sam build` uses it to build the function.
cargo_lambda() {
  local venv="$TOOLS/cargo-lambda-$CARGO_LAMBDA_VERSION"
  if [ ! -x "$venv/bin/cargo-lambda" ]; then
    log "installing cargo-lambda $CARGO_LAMBDA_VERSION into .tools"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "cargo-lambda==$CARGO_LAMBDA_VERSION"
  fi
  export PATH="$venv/bin:$PATH"
}

# MiniStack in a separate Python environment, because its pinned dependencies conflict with moto.
ministack_tool() {
  local version venv
  version="$(sed -n 's/^ministack==//p' "$ROOT/scripts/requirements-ministack.txt")"
  venv="$TOOLS/ministack-$version"
  if ! cmp -s "$ROOT/scripts/requirements-ministack.txt" "$venv/requirements.txt"; then
    log "installing MiniStack $version into .tools/ministack-$version"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "cannot create a virtual environment: install the package python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/scripts/requirements-ministack.txt"
    cp "$ROOT/scripts/requirements-ministack.txt" "$venv/requirements.txt"
  fi
  MINISTACK="$venv/bin/ministack"
}

# Prometheus from PATH, or from the Debian package. The package is unpacked only, because installing it would start a service.
prometheus_tool() {
  PROMETHEUS="$(command -v prometheus || true)"
  [ -n "$PROMETHEUS" ] && return
  PROMETHEUS="$TOOLS/prometheus/usr/bin/prometheus"
  if [ ! -x "$PROMETHEUS" ]; then
    command -v apt-get > /dev/null || fail "prometheus is not on PATH, and apt-get is not available to download it"
    log "unpacking the Debian package of Prometheus into .tools"
    mkdir -p "$TOOLS/prometheus"
    (
      cd "$TOOLS/prometheus"
      apt-get download prometheus > apt.log 2>&1 || { apt-get update > apt.log 2>&1 && apt-get download prometheus > apt.log 2>&1; }
      dpkg -x prometheus_*.deb .
    ) || fail "cannot download prometheus: see .tools/prometheus/apt.log"
  fi
}

# Release binary of the function.
release_binary() {
  log "building the release binary (takes some minutes the first time)"
  cargo build --release --locked --quiet --bin sidecarless-function
  BINARY="${CARGO_TARGET_DIR:-$ROOT/target}/release/sidecarless-function"
}

# Command line, in the dev profile: the Rust tests build it anyway, and a second release build would take minutes.
cli_binary() {
  log "building the command line"
  cargo build --locked --quiet --bin sidecarless
  CLI="${CARGO_TARGET_DIR:-$ROOT/target}/debug/sidecarless"
}

# Packages of the Node client. Without npm, its tests are skipped.
node_tools() {
  command -v npm > /dev/null || return 1
  local folder="$TOOLS/node" lock="tests/e2e/node/package-lock.json"
  if ! cmp -s "$ROOT/$lock" "$folder/package-lock.json" || [ ! -d "$folder/node_modules" ]; then
    log "installing the OpenTelemetry SDK for Node into .tools/node"
    rm -rf "$folder" && mkdir -p "$folder"
    cp "$ROOT"/tests/e2e/node/package*.json "$folder/"
    npm ci --silent --no-audit --no-fund --prefix "$folder" || return 1
  fi
}
