// SPDX-License-Identifier: Apache-2.0

package carrier

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// What goes between the gateway and a carrier that it runs has to say where it ends: whoever reads a process's output can't tell an end from a
// connection that broke, and neither can a process that reads its input.

// maxFrame bounds one part of a stream that comes in.
const maxFrame = 1 << 20

// ErrBroken says that a stream ended before it was whole.
var ErrBroken = errors.New("the stream broke off")

// Report is what a carrier says of a transfer that is done, as it was at the volume.
type Report struct {
	Bytes  uint64 `json:"bytes"`
	SHA256 []byte `json:"sha256"`
	// Changed and Example are of files that changed while they were read.
	Changed uint64 `json:"changed,omitempty"`
	Example string `json:"example,omitempty"`
}

// Get writes what is in a volume that may be in use to a stream.
func Get(w io.Writer, volume string) (Report, error) {
	out := &counted{hash: sha256.New(), to: w}
	changed, err := PackLive(out, volume)
	if err != nil {
		return Report{}, err
	}
	r := out.report()
	r.Changed, r.Example = changed.Files, changed.Example
	return r, nil
}

// Put writes a stream of frames into a volume, and returns once all of it is on the disk. A frame is its length in four bytes and as much of
// the tar stream; one of no length is the last. It returns what Unpack does, and ErrBroken for a stream without a last frame.
func Put(volume string, frames io.Reader) (Report, error) {
	in := &counted{hash: sha256.New(), to: io.Discard}
	r := &frameReader{from: frames}
	stream := io.TeeReader(r, in)
	if err := Unpack(volume, stream); err != nil {
		if r.broken != nil {
			return Report{}, r.broken
		}
		return Report{}, err
	}
	// What follows the end of an archive is nothing of it, but who sent it wants to know that all of it arrived.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return Report{}, err
	}
	if in.bytes == 0 {
		return Report{}, fmt.Errorf("the stream is empty: %w", ErrArchive)
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = root.Close() }()
	if err := sync(root); err != nil {
		return Report{}, err
	}
	return in.report(), nil
}

// counted is what went through.
type counted struct {
	hash  hash.Hash
	bytes uint64
	to    io.Writer
}

func (c *counted) Write(b []byte) (n int, err error) {
	n, err = c.to.Write(b)
	_, _ = c.hash.Write(b[:n])
	c.bytes += uint64(n)
	return n, err
}

func (c *counted) report() Report { return Report{Bytes: c.bytes, SHA256: c.hash.Sum(nil)} }

// frameReader reads what is in frames.
type frameReader struct {
	from io.Reader
	left uint32
	last bool
	// broken is why there is no more, if that is no end.
	broken error
}

func (r *frameReader) Read(b []byte) (int, error) {
	if r.broken != nil {
		return 0, r.broken
	}
	for r.left == 0 {
		if r.last {
			return 0, io.EOF
		}
		var head [4]byte
		if _, err := io.ReadFull(r.from, head[:]); err != nil {
			return 0, r.breaks(err)
		}
		r.left = binary.BigEndian.Uint32(head[:])
		r.last = r.left == 0
		if r.left > maxFrame {
			return 0, r.breaks(fmt.Errorf("a part of %d bytes", r.left))
		}
	}
	n, err := r.from.Read(b[:min(uint32(len(b)), r.left)])
	r.left -= uint32(n)
	if err != nil && n == 0 {
		return 0, r.breaks(err)
	}
	return n, nil
}

func (r *frameReader) breaks(err error) error {
	r.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	return r.broken
}

// GiveWay makes this process the first to go when its app has no memory left: the app's own must not go in its stead.
func GiveWay() error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

// Alone reports whether no other process is in this one's process namespace: in a container of its own, whether nobody is at work in it.
func Alone() (bool, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false, err
	}
	own := fmt.Sprint(unix.Getpid())
	for _, e := range entries {
		if name := e.Name(); name[0] >= '1' && name[0] <= '9' && name != own {
			return false, nil
		}
	}
	return true, nil
}
