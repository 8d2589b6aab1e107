// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the whole on a devnet that is up: real API server, real chain, real containers, the binaries that people run.
// It is skipped unless APOCRYPH_E2E=1 (make e2e sets it).
package e2e
