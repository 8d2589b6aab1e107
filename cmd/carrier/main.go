// SPDX-License-Identifier: Apache-2.0

// Command carrier moves the content of apps' volumes. The controller runs it in apps' namespaces, never a person; it is a program of its own,
// beside apocryphd in the provider's image, because it is copied into pods of apps' own images.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/apocryph/apocryph/internal/carrier"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", err)
		os.Exit(code(err)) //nolint:forbidigo // this is main
	}
}

// code tells the controller of the one thing that its publisher can do something about.
func code(err error) int {
	if errors.Is(err, carrier.ErrFull) {
		return int(syscall.ENOSPC)
	}
	return 1
}

const usage = `carrier install FILE
carrier fill GROUP VOLUME PATH [VOLUME PATH …]`

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "install":
		return install(args[1])
	case len(args) >= 4 && len(args)%2 == 0 && args[0] == "fill":
		group, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("group %q is no number", args[1])
		}
		for pairs := args[2:]; len(pairs) > 0; pairs = pairs[2:] {
			if err := carrier.Fill(pairs[0], pairs[1], group); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("usage:\n%s", usage)
}

// install copies this program to where a container of another image runs it.
func install(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
