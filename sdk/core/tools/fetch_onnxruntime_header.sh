#!/bin/sh
# Unpack ONNX Runtime's C header from Debian 13's package into a folder; print where it lies.
# usage: fetch_onnxruntime_header.sh FOLDER
# Works on Debian 12 and 13 with the machine's own package sources; nothing is installed.
set -eu
out=$1
header=usr/include/onnxruntime/onnxruntime_c_api.h
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ ! -f "$out/$header" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sources"

  # The machine's sources with the release replaced; those that name none are left out.
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
      /etc/apt/sources.list.d/*.list; do
    [ -s "$file" ] && grep -q debian "$file" || continue
    sed -e 's/bookworm/trixie/g' "$file" > "$work/sources/$(basename "$file")"
  done

  # Not as the user _apt, who may not read this folder.
  apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists=$work/lists"
  apt="$apt -o Dir::Cache=$work/cache -o Dir::Etc::SourceList=/dev/null"
  apt="$apt -o Dir::Etc::SourceParts=$work/sources"
  $apt update >&2
  (cd "$work" && $apt download libonnxruntime-dev >&2 && dpkg -x libonnxruntime-dev_*.deb "$work/tree")
  mkdir -p "$out/$(dirname $header)"
  cp "$work/tree/$(dirname $header)/"*.h "$out/$(dirname $header)/"
fi
echo "$out/$(dirname $header)"
