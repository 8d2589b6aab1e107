// SPDX-License-Identifier: Apache-2.0

// Command guide writes docs/guide/compose.md to the file that is named.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/apocryph/apocryph/internal/appfile"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "guide: error:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: guide FILE")
	}
	var b bytes.Buffer
	if err := appfile.WriteGuide(&b); err != nil {
		return err
	}
	return os.WriteFile(os.Args[1], b.Bytes(), 0o644)
}
