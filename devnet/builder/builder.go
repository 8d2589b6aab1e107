// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/progress"
)

// sideBySide is how many programs are built at a time. The compiler uses all cores by itself; the linker, mostly one.
const sideBySide = 2

// Builder builds for one checkout.
type Builder struct {
	Checkout checkout.Checkout
	Progress *progress.Progress
}

// Build builds programs, in order as far as they do not go side by side. What is up to date is left alone.
func (b *Builder) Build(ctx context.Context, programs []Program) error {
	if err := os.MkdirAll(b.stamps(), 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	queue := make(chan Program)
	var workers sync.WaitGroup
	for range sideBySide {
		workers.Go(func() {
			for p := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := b.one(ctx, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, p := range programs {
		queue <- p
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

func (b *Builder) stamps() string { return filepath.Join(b.Checkout.Bin(), ".stamps") }

// one builds one program, if its stamp says that something changed. The Go command knows that too, but takes seconds to find out for
// a program of two thousand packages.
func (b *Builder) one(ctx context.Context, p Program) error {
	stamp, file := "", filepath.Join(b.stamps(), p.Name)
	if p.Pinned {
		var err error
		if stamp, err = p.stamp(b.Checkout.Root); err != nil {
			return err
		}
		old, err := os.ReadFile(file)
		_, missing := os.Stat(filepath.Join(b.Checkout.Bin(), p.Name))
		if err == nil && missing == nil && string(old) == stamp {
			return nil
		}
	}
	err := b.Progress.Do("build", p.Name, func() error { return b.compile(ctx, p) })
	if err != nil || !p.Pinned {
		return err
	}
	return os.WriteFile(file, []byte(stamp), 0o644)
}

func (b *Builder) compile(ctx context.Context, p Program) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", filepath.Join(b.Checkout.Bin(), p.Name)}, append(p.flags(), p.Package)...)...)
	cmd.Dir = filepath.Join(b.Checkout.Root, p.Dir)
	cmd.Env = append(os.Environ(), p.env()...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (p Program) flags() []string {
	flags := []string{"-trimpath", "-buildvcs=false", "-ldflags=" + strings.TrimSpace("-s -w "+p.LinkFlags)}
	if p.Tags != "" {
		flags = append(flags, "-tags="+p.Tags)
	}
	return flags
}

func (p Program) env() []string {
	cgo := "CGO_ENABLED=0"
	if p.C {
		cgo = "CGO_ENABLED=1"
	}
	return []string{cgo, "GOWORK=off", "GOFLAGS=-mod=readonly"}
}

// stamp is a hash of all that a pinned program is made from.
func (p Program) stamp(root string) (string, error) {
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, runtime.Version(), p.Package, p.flags(), p.env())
	files, err := filepath.Glob(filepath.Join(root, p.Dir, "*"))
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(f), len(data), data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// need is a Debian package and how to see that it is there.
type need struct{ pkg, program, file string }

// needs are what the devnet takes from the machine.
func needs() []need {
	return []need{
		{pkg: "gcc", program: "gcc"},
		{pkg: "libc6-dev", file: "/usr/include/stdlib.h"},
		{pkg: "libseccomp-dev", file: "/usr/include/seccomp.h"},
		{pkg: "iproute2", program: "ip"},
		{pkg: "iptables", program: "iptables"},
		{pkg: "ipset", program: "ipset"},
		{pkg: "nftables", program: "nft"},
		{pkg: "conntrack", program: "conntrack"},
		{pkg: "e2fsprogs", program: "mkfs.ext4"},
		{pkg: "mount", program: "mount"},
	}
}

// InstallMissing installs what the machine lacks, by apt.
func InstallMissing(ctx context.Context, p *progress.Progress) error {
	if os.Geteuid() != 0 {
		return errors.New("the devnet makes namespaces, mounts and interfaces: run it as root")
	}
	var missing []string
	for _, n := range needs() {
		_, err := os.Stat(n.file)
		if n.program != "" {
			_, err = exec.LookPath(n.program)
		}
		if err != nil {
			missing = append(missing, n.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine lacks %s, and has no apt to install it by", strings.Join(missing, ", "))
	}
	return p.Do("install", strings.Join(missing, " "), func() error {
		return install(ctx, missing)
	})
}

func install(ctx context.Context, packages []string) error {
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-qy", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}
