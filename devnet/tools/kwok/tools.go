// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package kwok pins what plays machines in measurements.
package kwok

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
