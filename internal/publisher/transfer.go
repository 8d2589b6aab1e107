// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

var (
	// ErrTransfer says that a transfer of a volume's content broke off, or did not arrive as it was sent.
	ErrTransfer = errors.New("the transfer is not whole")
	// ErrCompressed says that what is to be put into a volume is compressed.
	ErrCompressed = errors.New("the archive is compressed")
)

const (
	// transferPart is how much of a volume's content goes into one message.
	transferPart = 64 << 10
	// transferBeat is how often a sender says that it is still there while it has nothing to send.
	transferBeat = 10 * time.Second
)

// Transferred is what went out of a volume or into it.
type Transferred struct {
	Bytes uint64
	// Changed files were written to, or went away, while they were read. Example is one of them.
	Changed uint64
	Example string
}

// GetVolume writes what is in a volume as a tar stream. What is written is the volume's content only if there is no error; ErrTransfer says that it
// broke off.
func (p *Publisher) GetVolume(ctx context.Context, a *App, volume string, w io.Writer) (Transferred, error) {
	s, err := p.reach(ctx, a)
	if err != nil {
		return Transferred{}, err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, signed, err := p.transfer(ctx, a, delegation.Statement{Action: orderv1.Action_ACTION_GET_VOLUME, Volume: volume})
	if err != nil {
		return Transferred{}, err
	}
	failed := func(err error) error { return fmt.Errorf("reading volume %s of %s: %w", volume, a.Name, err) }
	stream, err := s.RPC.GetVolume(call, &providerv1.GetVolumeRequest{Statement: signed})
	if err != nil {
		return Transferred{}, failed(refusal(err))
	}
	defer func() { _ = stream.Close() }()
	sum, n := sha256.New(), uint64(0)
	for stream.Receive() {
		m := stream.Msg()
		if m.Carried != nil {
			return whole(m.Carried, n, sum.Sum(nil), failed)
		}
		if _, err := w.Write(m.Data); err != nil {
			return Transferred{}, failed(err)
		}
		_, _ = sum.Write(m.Data)
		n += uint64(len(m.Data))
	}
	if err := stream.Err(); err != nil {
		return Transferred{}, failed(refusal(err))
	}
	return Transferred{}, fault.Hint(failed(ErrTransfer), "run the command again")
}

// whole compares what the provider saw at the volume with what was seen here.
func whole(c *providerv1.Carried, n uint64, sum []byte, failed func(error) error) (Transferred, error) {
	if c.GetBytes() != n || !bytes.Equal(c.GetSha256(), sum) {
		err := fmt.Errorf("%w: %d bytes here, %d bytes at the volume, and not the same", ErrTransfer, n, c.GetBytes())
		return Transferred{}, fault.Hint(failed(err), "run the command again")
	}
	return Transferred{n, c.Changed, Clean(c.Example)}, nil
}

// PutVolume writes a tar stream into a volume: what it names is there afterwards as the stream has it, what it does not name stays. What was written
// before an error stays. It returns ErrCompressed for a stream that is.
func (p *Publisher) PutVolume(ctx context.Context, a *App, volume string, r io.Reader) (Transferred, error) {
	first, err := firstPart(r)
	if err != nil {
		return Transferred{}, err
	}
	s, err := p.reach(ctx, a)
	if err != nil {
		return Transferred{}, err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, signed, err := p.transfer(ctx, a, delegation.Statement{Action: orderv1.Action_ACTION_PUT_VOLUME, Volume: volume})
	if err != nil {
		return Transferred{}, err
	}
	failed := func(err error) error { return fmt.Errorf("writing volume %s of %s: %w", volume, a.Name, err) }
	stream, err := s.RPC.PutVolume(call)
	if err != nil {
		return Transferred{}, failed(refusal(err))
	}
	sum, n := sha256.New(), uint64(0)
	sent := send(ctx, signed, io.MultiReader(bytes.NewReader(first), r), func(m *providerv1.PutVolumeRequest) error {
		_, _ = sum.Write(m.Data)
		n += uint64(len(m.Data))
		return stream.Send(m)
	})
	if sent != nil && !errors.Is(sent, io.EOF) {
		cancel() // so that what was sent is not taken for all there is
		_, _ = stream.CloseAndReceive()
		return Transferred{}, failed(sent)
	}
	answer, err := stream.CloseAndReceive()
	if err != nil {
		return Transferred{}, failed(refusal(err))
	}
	return whole(answer.Carried, n, sum.Sum(nil), failed)
}

// transfer signs a transfer and authorizes the call for it.
func (p *Publisher) transfer(ctx context.Context, a *App, s delegation.Statement) (context.Context, *orderv1.SignedStatement, error) {
	under, err := p.delegate(a, forUse())
	if err != nil {
		return nil, nil, err
	}
	signed, err := p.statement(a, s, under)
	if err != nil {
		return nil, nil, err
	}
	call, err := p.authorized(ctx, a, forUse())
	return call, signed, err
}

// firstPart reads as much as says what a stream is.
func firstPart(r io.Reader) ([]byte, error) {
	b := make([]byte, 512)
	n, err := io.ReadFull(r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	for _, magic := range []string{"\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "PK\x03\x04"} {
		if bytes.HasPrefix(b[:n], []byte(magic)) {
			return nil, fault.Hint(ErrCompressed, "send a tar stream, as in: gunzip -c FILE | apocryph volume put APP VOLUME -")
		}
	}
	return b[:n], nil
}

// send cuts a stream into messages. While nothing can be read it sends empty ones. It returns io.EOF when the other side wants no more.
func send(ctx context.Context, signed *orderv1.SignedStatement, r io.Reader, to func(*providerv1.PutVolumeRequest) error) error {
	if err := to(&providerv1.PutVolumeRequest{Statement: signed}); err != nil {
		return err
	}
	type part struct {
		data []byte
		err  error
	}
	parts := make(chan part)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What is read from may be a terminal or a pipe, which can't be interrupted: the goroutine ends with its next read, or with the program.
	go func() {
		for {
			b := make([]byte, transferPart)
			n, err := r.Read(b)
			select {
			case parts <- part{b[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	beat := time.NewTicker(transferBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := to(&providerv1.PutVolumeRequest{}); err != nil {
				return err
			}
		case p := <-parts:
			last := errors.Is(p.err, io.EOF)
			if p.err != nil && !last {
				return fmt.Errorf("reading what is to be sent: %w", p.err)
			}
			if err := to(&providerv1.PutVolumeRequest{Data: p.data, Last: last}); err != nil || last {
				return err
			}
		}
	}
}
