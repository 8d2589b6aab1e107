// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package kuberouter pins kube-router, of which only the network policy controller runs.
package kuberouter

import (
	_ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
)
