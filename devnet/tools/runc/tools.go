// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package runc pins runc.
package runc

import (
	_ "github.com/opencontainers/runc"
)
