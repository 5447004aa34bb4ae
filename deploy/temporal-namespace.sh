#!/bin/sh
# Creates the namespace, whose closed workflows are kept for 30 days; repeatable.
set -eu
tries=0
until temporal operator cluster health; do
  tries=$((tries + 1))
  if [ "$tries" -ge 30 ]; then echo "Temporal does not become healthy" >&2; exit 1; fi
  sleep 2
done
temporal operator namespace describe -n default >/dev/null 2>&1 \
  || temporal operator namespace create -n default --retention 30d
