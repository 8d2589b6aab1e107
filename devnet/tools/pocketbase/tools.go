// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package pocketbase pins PocketBase, the demo's app, which nobody here wrote.
package pocketbase

import (
	_ "github.com/pocketbase/pocketbase/examples/base"
)
