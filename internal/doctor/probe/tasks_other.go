// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package probe

import "errors"

// Pods run on Linux; elsewhere this is only compiled.
var errLinux = errors.New("only on Linux")

func fork() (int, error)                   { return 0, errLinux }
func reap(int)                             {}
func userLimit() uint64                    { return 0 }
func allocate(uintptr, int64, int64) error { return errLinux }
