// SPDX-License-Identifier: Apache-2.0

// Package carrier moves the content of volumes: what an image has at a path into a new volume, a volume out as a tar stream, a tar stream into
// a volume.
//
// It runs in an app's own namespace, confined as the app's pods are and with no rights beyond theirs; so what a hostile image or archive makes
// of it, its own publisher's volume aside, is nothing that the app could not do anyway. Its invariants: nothing outside of the volume is
// written and no symbolic link is followed out of it; no device is made; a volume that holds something is never filled, and filling
// removes nothing but its own half-made copy, so that it may be repeated after a crash at any moment; what is carried keeps owners, modes, times, links and users' attributes, or an error says what did not.
package carrier

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrFull says that the volume has no room for what is to be put into it.
	ErrFull = errors.New("the volume is full")
	// ErrArchive says that a tar stream is broken, or holds what a volume does not take.
	ErrArchive = errors.New("not an archive that a volume takes")
	// ErrTree says that a tree can't be carried: it is too deep or has too many hard links.
	ErrTree = errors.New("not a tree that can be carried")
)

const (
	// copying is in a volume while it is filled for the first time, copied once the copy is whole.
	copying = ".apocryph-filling"
	copied  = ".apocryph-filled"
	// lostAndFound is what a new ext4 has in it, and a volume as Compose knows it has not.
	lostAndFound = "lost+found"

	// maxDepth of directories: each is open while what is below it is carried.
	maxDepth = 512
	// maxLinked is how many files with several names are remembered.
	maxLinked = 100_000
	// maxName is the longest name of an archive's entry, and of where a link leads.
	maxName = 4096
	// batch is how many entries of a directory are read at once.
	batch = 256
)

// full makes ErrFull of an error that means it.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
