#!/bin/sh
# Makes the headers that a dynamic module for Debian's nginx is compiled with: nginx_headers.sh FOLDER
# nginx-dev has the sources; what depends on the configuration its configure script writes.
set -eu
rm -rf "$1"
mkdir -p "$1"
cd "$1"
cp -r /usr/share/nginx/src/auto /usr/share/nginx/src/src /usr/share/nginx/src/configure .
# shellcheck disable=SC2016  # conf_flags holds a bash array
bash -c 'source /usr/share/nginx/src/conf_flags; ./configure "${NGX_CONF_FLAGS[@]}"' > configure.log 2>&1 ||
  { cat configure.log; exit 1; }
