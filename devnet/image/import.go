// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/apocryph/apocryph/devnet/progress"
)

// Runtime is a containerd to import images into, as the nodes of a cluster would pull them.
type Runtime struct {
	// Client is containerd's own command line program.
	Client string
	// Socket is where containerd listens.
	Socket string
}

func (r Runtime) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, r.Client, append([]string{"--address", r.Socket, "--namespace", "k8s.io"}, args...)...)
}

// Import gives the runtime those images of the layout in dir that it does not have.
func (r Runtime) Import(ctx context.Context, dir string, refs []string, p *progress.Progress) error {
	stored, err := Digests(dir)
	if err != nil {
		return err
	}
	list, err := r.command(ctx, "images", "list").Output()
	if err != nil {
		return fmt.Errorf("listing the runtime's images: %w", err)
	}
	present := imported(string(list))
	for _, ref := range refs {
		if stored[ref] == "" {
			return fmt.Errorf("no image %s is stored in %s", ref, dir)
		}
		if present[ref] == stored[ref] {
			continue
		}
		if err := p.Do("import", ref, func() error { return r.importOne(ctx, dir, ref) }); err != nil {
			return err
		}
	}
	return nil
}

// imported reads names and digests from containerd's list of images.
func imported(list string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 2 { // REF TYPE DIGEST …
			out[fields[0]] = fields[2]
		}
	}
	return out
}

func (r Runtime) importOne(ctx context.Context, dir, ref string) error {
	in, feed := io.Pipe()
	go func() { feed.CloseWithError(Archive(dir, ref, feed)) }()
	defer func() { _ = in.Close() }()
	cmd := r.command(ctx, "images", "import", "-")
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("importing %s: %w\n%s", ref, err, strings.TrimSpace(out.String()))
	}
	return nil
}
