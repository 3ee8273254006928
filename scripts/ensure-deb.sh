#!/bin/sh
# Makes sure that Debian packages are there: installs what is missing where it may, and otherwise names it.
#
#   scripts/ensure-deb.sh nats-server redis-server postgresql:pg_ctlcluster
#
# An argument is PACKAGE or PACKAGE:COMMAND. A package counts as there when COMMAND (by default the package's
# own name) is on the PATH, so a hand-installed server is good too, or when dpkg knows it as installed.
# Exit 0: everything is there. Exit 1: something is missing; it is named. Exit 2: called wrongly.
set -eu

main() {
    if [ $# -eq 0 ]; then
        echo "usage: $0 PACKAGE[:COMMAND]..." >&2
        exit 2
    fi
    missing=$(absent "$@")
    if [ -z "$missing" ]; then
        exit 0
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        give_up "$missing" "there is no apt-get here"
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root=""
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        give_up "$missing" "this needs root, or sudo without a password"
    fi
    echo "installing:$missing" >&2
    install_packages || give_up "$missing" "apt-get failed"
    missing=$(absent "$@")
    if [ -n "$missing" ]; then
        give_up "$missing" "apt-get ended well, but they are not there"
    fi
}

# Prints each absent package with a space before it.
absent() {
    for wanted in "$@"; do
        package=${wanted%%:*}
        command=${wanted#*:}
        # Servers live in sbin, which an ordinary user's PATH does not name on Debian.
        if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1 && ! installed "$package"; then
            printf ' %s' "$package"
        fi
    done
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A server's package starts a system service when it is installed. We only ever run our own instances, so a
# policy that forbids that stands for the time of the install, unless the machine has a policy of its own.
install_packages() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        apt
    else
        trap '$as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
        apt
    fi
}

apt() {
    # shellcheck disable=SC2086 # $as_root and $missing are lists of words on purpose
    $as_root apt-get update -qq >&2 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}

give_up() {
    echo "missing Debian packages:$1 ($2)" >&2
    echo "install them with: apt-get install$1" >&2
    exit 1
}

main "$@"
