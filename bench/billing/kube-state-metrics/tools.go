// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names the program that this module pins.
package tools

import _ "k8s.io/kube-state-metrics/v2"
