# Sourced by the other scripts: versions of tools, and the time that each step takes.

# The version that scripts/tool-versions pins.
pinned() { awk -v name="$1" '$1 == name { print $2 }' scripts/tool-versions; }

# Succeeds if a cargo subcommand is installed in the pinned version: `has_pinned deny`.
has_pinned() { [ "$(cargo "$1" --version 2> /dev/null | awk '{ print $2 }')" = "$(pinned "cargo-$1")" ]; }

# The nightly toolchain to use: the pinned one, or else the one that is installed as `nightly`.
# Fails if there is none.
nightly() {
    local name
    for name in "$(pinned nightly)" nightly; do
        if RUSTUP_AUTO_INSTALL=0 cargo "+$name" --version > /dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    return 1
}

# `step NAME` ends the current step and begins the step NAME. The script that begins the first step
# prints a summary when it ends: the times of its steps, and of the steps of scripts that it runs.
step() {
    if [ -z "${step_begun-}" ]; then
        step_begun=1
        if [ -n "${STEP_TIMES-}" ]; then
            trap step_end EXIT
        else
            STEP_TIMES=$(mktemp)
            export STEP_TIMES
            trap 'step_end; step_summary' EXIT
        fi
    fi
    step_end
    step_name=$* step_start=$SECONDS
    printf '\n== %s\n' "$*"
}

step_end() {
    if [ -n "${step_name-}" ]; then
        printf '%s %s\n' "$((SECONDS - step_start))" "$step_name" >> "$STEP_TIMES"
        step_name=
    fi
}

step_summary() {
    awk '{ total += $1; name = $0; sub(/^[0-9]+ /, "", name); line = line ", " name " " $1 " s" }
        END { printf "\ntime: %d s%s\n", total, line }' "$STEP_TIMES"
    rm -f "$STEP_TIMES"
}
