#!/bin/bash
# SPDX-License-Identifier: Apache-2.0

set -e
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -c "CREATE USER ${POSTGRES_NON_ROOT_USER}"
