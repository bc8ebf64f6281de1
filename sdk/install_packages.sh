#!/bin/sh
# Install the packages of sdk/apt.txt that are missing, where there is apt-get.
# A program of that name from elsewhere counts: nodejs of NodeSource brings its own npm.
set -eu
cd "$(dirname "$0")"
command -v apt-get > /dev/null || exit 0

missing=
for package in $(grep -v '^#' apt.txt); do
  dpkg -s "$package" > /dev/null 2>&1 || command -v "$package" > /dev/null || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "missing for the SDK:$missing" >&2
  exit 0
fi
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing
