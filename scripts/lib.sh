# Installs the tools of the demo and the tests. All tools are pinned and are installed once, into .tools/ only.
# Source this file from a script in scripts/.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS="$ROOT/.tools"

log() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() { log "$*"; exit 1; }

# Installs only files whose hash is in the requirements file. The file lists all dependencies, so that pip resolves none. Wheels
# only, because a source package downloads its build tools without a hash.
PIP_INSTALL=(install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps)

# python_environment NAME PACKAGES: installs scripts/requirements-NAME.txt into the virtual environment VENV if the file changed.
python_environment() {
  local requirements="$ROOT/scripts/requirements-$1.txt"
  VENV="$TOOLS/python-$1"
  if ! cmp -s "$requirements" "$VENV/requirements.txt"; then
    log "installing $2 into .tools/python-$1"
    rm -rf "$VENV"
    python3 -m venv "$VENV" || fail "cannot create a virtual environment: install the package python3-venv"
    "$VENV/bin/pip" "${PIP_INSTALL[@]}" -r "$requirements" || fail "cannot install $requirements"
    "$VENV/bin/pip" check --disable-pip-version-check >&2 || fail "$requirements does not list all dependencies"
    cp "$requirements" "$VENV/requirements.txt"
  fi
}

# Python with the test servers.
python_tools() {
  command -v python3 > /dev/null || fail "python3 is needed"
  python_environment tests "moto, the OpenTelemetry SDK and pytest"
  PYTHON="$VENV/bin/python"
}

# Lambda runtime interface emulator. The package of the SAM CLI includes it and is installed without its dependencies.
emulator() {
  local folder="$TOOLS/emulator" requirement
  requirement="$(sed -n '/^aws-sam-cli==/,/[^\\]$/p' "$ROOT/scripts/requirements-sam.txt")"
  if [ "$requirement" != "$(cat "$folder/requirements.txt" 2> /dev/null)" ]; then
    log "installing the Lambda runtime interface emulator (from aws-sam-cli) into .tools/emulator"
    rm -rf "$folder" && mkdir -p "$folder"
    echo "$requirement" > "$folder/new.txt"
    "$PYTHON" -m pip "${PIP_INSTALL[@]}" --target "$folder" -r "$folder/new.txt" || fail "cannot install aws-sam-cli"
    mv "$folder/new.txt" "$folder/requirements.txt"
  fi
}

# Client with the OpenTelemetry SDK for Rust.
rust_client() {
  log "building the client with the Rust SDK into .tools/rust-client"
  CARGO_TARGET_DIR="$TOOLS/rust-client" cargo build --quiet --locked --manifest-path "$ROOT/tests/e2e/rust_client/Cargo.toml"
}

# SAM CLI, to validate the template.
sam_cli() {
  python_environment sam "the SAM CLI"
  SAM="$VENV/bin/sam"
}

# cargo-lambda, which includes a cross compiler. `sam build` uses it to build the function.
cargo_lambda() {
  python_environment cargo-lambda "cargo-lambda"
  export PATH="$VENV/bin:$PATH"
}

# MiniStack in a separate Python environment, because its pinned dependencies conflict with moto.
ministack_tool() {
  python_environment ministack "MiniStack"
  MINISTACK="$VENV/bin/ministack"
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

# Interpreters and compilers for the tests of helpers/, if they are not on PATH: the .NET runtime from PyPI, the others from Debian
# packages, which are unpacked only. Mono is the C# compiler. Without them, the tests of their languages are skipped.
helper_languages() {
  command -v dotnet > /dev/null || (python_environment dotnet "the .NET runtime") || return 1
  local folder="$TOOLS/languages" packages=()
  [ -e "$folder/complete" ] && return
  command -v go > /dev/null || packages+=(golang-go)
  command -v ruby > /dev/null || packages+=(ruby)
  command -v mcs > /dev/null || packages+=(mono-mcs mono-runtime libmono-system-net-http4.0-cil)
  command -v busybox > /dev/null || packages+=(busybox)
  [ ${#packages[@]} -eq 0 ] && return
  command -v apt-get > /dev/null || return 1
  log "unpacking the Debian packages of ${packages[*]} into .tools/languages"
  rm -rf "$folder" && mkdir -p "$folder"
  (
    cd "$folder"
    download_packages "${packages[@]}" > apt.log 2>&1 || { apt-get update && download_packages "${packages[@]}"; } > apt.log 2>&1 || exit 1
    for package in *.deb; do dpkg -x "$package" root && rm "$package" || exit 1; done
    touch complete
  )
}

# download_packages NAME...: downloads packages and their missing dependencies into the current folder.
download_packages() {
  local names
  names="$(apt-get --simulate --no-install-recommends install "$@")" || return 1
  # An installed version in brackets follows the name of a package that would be replaced.
  names="$(awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' <<< "$names")"
  [ -n "$names" ] && apt-get download $names
}

# Collectors that scripts/bench --compare measures: Rotel from PyPI, and Prometheus and vmagent from Debian. The versions are those of
# Debian unstable, because those of Debian 12 are years old. Debian removes a version when there is a newer one; its snapshots do not.
COLLECTOR_PACKAGES=(prometheus=3.5.3+ds1-6 victoria-metrics=1.145.0+ds1-2)
COLLECTOR_SOURCES=(http://deb.debian.org/debian http://snapshot.debian.org/archive/debian/20261128T000000Z)
collectors() {
  python_environment rotel "Rotel"
  ROTEL="$("$VENV/bin/python" -c 'import importlib.util; print(importlib.util.find_spec("rotel").submodule_search_locations[0])')/rotel-agent"
  local folder="$TOOLS/collectors" source
  VMAGENT="$folder/root/usr/bin/vmagent" DEBIAN_PROMETHEUS="$folder/root/usr/bin/prometheus"
  [ "${COLLECTOR_PACKAGES[*]}" != "$(cat "$folder/complete" 2> /dev/null)" ] || return 0
  command -v apt-get > /dev/null || fail "apt-get is needed to download ${COLLECTOR_PACKAGES[*]}"
  log "unpacking the Debian packages ${COLLECTOR_PACKAGES[*]} into .tools/collectors"
  rm -rf "$folder"
  for source in "${COLLECTOR_SOURCES[@]}"; do
    if (unpack_from "$folder" "$source" "${COLLECTOR_PACKAGES[@]}"); then
      echo "${COLLECTOR_PACKAGES[*]}" > "$folder/complete"
      return
    fi
  done
  fail "cannot download ${COLLECTOR_PACKAGES[*]}: see .tools/collectors/apt.log"
}

# unpack_from FOLDER SOURCE PACKAGE=VERSION...: downloads packages of Debian unstable with lists of packages of their own, because those
# of the system have other versions. apt-get verifies the signature of Debian. A package is unpacked only.
unpack_from() {
  local folder="$1" package
  mkdir -p "$folder"/{lists/partial,cache/archives/partial,root}
  cd "$folder" || return
  # The validity of a snapshot has ended.
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no] $2 sid main" > sources.list
  local apt=(apt-get -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$folder/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$folder/cache" -o Acquire::Languages=none)
  { "${apt[@]}" update && "${apt[@]}" download "${@:3}"; } >> apt.log 2>&1 || return
  for package in *.deb; do dpkg -x "$package" root && rm "$package" || return; done
  rm -rf lists cache
}

# Release binary of the function.
release_binary() {
  log "building the release binary (takes some minutes the first time)"
  cargo build --release --locked --quiet --bin sidecarless-function || return
  BINARY="${CARGO_TARGET_DIR:-$ROOT/target}/release/sidecarless-function"
}

# Command line, linked statically as in a release, in the dev profile: the Rust tests build it anyway, and a second release build would take minutes. Without
# `--test integration`, some dependencies have fewer features, and cargo compiles everything that uses them a second time.
cli_binary() {
  log "building the command line"
  cargo build --locked --quiet --bin sidecarless --test integration || return
  CLI="${CARGO_TARGET_DIR:-$ROOT/target}/debug/sidecarless"
}

# Whether a binary runs without a dynamic linker.
is_static() {
  ! LC_ALL=C readelf --program-headers "$1" | grep -q INTERP
}

# node_packages FOLDER NAME PACKAGES: installs the package-lock.json in FOLDER into .tools/NAME if the file changed.
node_packages() {
  command -v npm > /dev/null || return 1
  local source="$ROOT/$1" folder="$TOOLS/$2"
  if ! cmp -s "$source/package-lock.json" "$folder/package-lock.json" || [ ! -d "$folder/node_modules" ]; then
    log "installing $3 into .tools/$2"
    rm -rf "$folder" && mkdir -p "$folder"
    cp "$source"/package*.json "$folder/"
    (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts) || return 1
  fi
}

# Packages of the Node client. Without npm, its tests are skipped.
node_tools() {
  node_packages tests/e2e/node node "the OpenTelemetry SDK for Node"
}

# The AWS Distro for OpenTelemetry, for Python and for Node. Both pin versions of the OpenTelemetry SDK that differ from those of the
# other clients. Without npm, the tests of the Node client are skipped.
adot_tools() {
  python_environment adot "the AWS Distro for OpenTelemetry for Python"
  node_packages tests/e2e/adot node-adot "the AWS Distro for OpenTelemetry for Node"
}

# CDK construct, compiled in .tools/cdk. Without npm, its tests are skipped.
cdk_construct() {
  node_packages deploy/cdk cdk "the AWS CDK" || return 1
  local folder="$TOOLS/cdk"
  rm -rf "$folder/lib" "$folder/dist"
  cp -r "$ROOT"/deploy/cdk/{lib,tsconfig.json} "$folder/"
  (cd -P "$folder" && npm run --silent build) || fail "cannot compile deploy/cdk"
  cp "$ROOT/deploy/sidecarless.yaml" "$folder/dist/"
}
