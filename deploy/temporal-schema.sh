#!/bin/sh
# Creates Temporal's two databases and brings their schemas up to date; repeatable.
set -eu
for database in temporal:temporal temporal_visibility:visibility; do
  name=${database%%:*}
  tool="temporal-sql-tool --plugin postgres12 --ep postgres -u doorstep -p 5432 --db $name"
  $tool create
  $tool setup-schema -v 0.0
  $tool update-schema -d "/etc/temporal/schema/postgresql/v12/${database##*:}/versioned"
done
