#!/bin/sh
# The Debian packages that the tests with a real Slurm and a real browser need; installed when we may, else said.
set -u
PACKAGES="slurmctld slurmd slurmdbd slurm-client slurm-wlm-basic-plugins slurm-wlm-mysql-plugin munge mariadb-server postgresql chromium fonts-dejavu-core"
missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
say="apt-get install --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then run="sudo -n"; else
    echo "NOT INSTALLED, so the tests with a real Slurm or a real browser will be skipped. To run them:" >&2
    echo "    sudo $say" >&2
    exit 0
fi
echo "installing:$missing"
log=$(mktemp)
# shellcheck disable=SC2086
if $run env DEBIAN_FRONTEND=noninteractive apt-get -qq update >"$log" 2>&1 &&
   $run env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >>"$log" 2>&1; then
    rm -f "$log"
else
    tail -n 5 "$log" >&2
    echo "COULD NOT INSTALL; the tests that need it will be skipped. By hand: $say" >&2
fi
exit 0
