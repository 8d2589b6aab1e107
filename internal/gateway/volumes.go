// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"k8s.io/client-go/util/exec"

	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

const (
	// maxReport bounds what a carrier says of itself.
	maxReport = 8 << 10
	// lastBytes is how long what a carrier wrote may be on its way after it said that it was done.
	lastBytes = 30 * time.Second
	// silence is how long nothing may come of a carrier, which says every 5 s that it is there: one that is killed does not end the connection.
	silence = 45 * time.Second
)

// GetVolume sends what is in a volume.
func (s server) GetVolume(ctx context.Context, r *providerv1.GetVolumeRequest, to *connect.ServerStream[providerv1.GetVolumeResponse]) error {
	t, err := s.g.beginTransfer(ctx, r.Statement, orderv1.Action_ACTION_GET_VOLUME)
	if err != nil {
		return err
	}
	defer t.end(ctx)
	return t.get(ctx, to.Send)
}

// PutVolume takes what is to be in a volume.
func (s server) PutVolume(ctx context.Context, from *connect.ClientStream[providerv1.PutVolumeRequest]) (*providerv1.PutVolumeResponse, error) {
	if !from.Receive() {
		if err := from.Err(); err != nil {
			return nil, err
		}
		return nil, refuse(providerv1.Reason_REASON_BAD_REQUEST, "no message came")
	}
	first := from.Msg()
	t, err := s.g.beginTransfer(ctx, first.Statement, orderv1.Action_ACTION_PUT_VOLUME)
	if err != nil {
		return nil, err
	}
	defer t.end(ctx)
	carried, err := t.put(ctx, first, func() (*providerv1.PutVolumeRequest, error) {
		if !from.Receive() {
			return nil, errors.Join(from.Err(), io.ErrUnexpectedEOF)
		}
		return from.Msg(), nil
	})
	if err != nil {
		return nil, err
	}
	return &providerv1.PutVolumeResponse{Carried: carried}, nil
}

// get sends a volume's content, and heartbeats for as long as that takes.
func (t *transfer) get(ctx context.Context, send func(*providerv1.GetVolumeResponse) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var beats sync.WaitGroup
	defer beats.Wait()
	defer cancel(nil)
	out := &outflow{send: send, cancel: cancel, hash: sha256.New(), sent: func(n int) { t.g.parts.Sent.Add(t.app.String(), int64(n)) }}
	beats.Go(func() { out.beat(ctx, t.tick) })
	at, err := t.carrier(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	hold, release := io.Pipe()
	defer func() { _ = release.Close() }()
	said := &carrierWords{done: out.settle}
	out.release, out.words = func() { _ = release.Close() }, said
	alive := t.watch(cancel)
	defer alive.Stop()
	err = t.run(ctx, at, carrierStreams{In: hold, Out: heard{out, alive}, Err: heard{said, alive}})
	report, err := said.outcome(ctx, t, err)
	if err != nil {
		return cause(ctx, err)
	}
	if n, sum := out.sum(); n != report.Bytes || !bytes.Equal(sum, report.SHA256) {
		return refuse(providerv1.Reason_REASON_TRANSFER_BROKEN, "%d bytes left volume %s and %d arrived here", report.Bytes, t.statement.Volume, n)
	}
	return out.message(&providerv1.GetVolumeResponse{Carried: report.proto()})
}

// watch ends a transfer whose carrier says nothing any more.
func (t *transfer) watch(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(silence, func() {
		err := refuse(providerv1.Reason_REASON_TRANSFER_BROKEN, "the transfer of volume %s broke off: nothing was heard of it for %s", t.statement.Volume, silence)
		cancel(fault.Hint(err, "run the command again"))
	})
}

// heard notes that something came.
type heard struct {
	io.Writer
	alive *time.Timer
}

// Write implements io.Writer.
func (h heard) Write(b []byte) (int, error) {
	h.alive.Reset(silence)
	return h.Writer.Write(b)
}

// cause is what a context was ended for, if it was; else the error.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// outflow is what a carrier writes on its way to the caller.
type outflow struct {
	send   func(*providerv1.GetVolumeResponse) error
	cancel context.CancelCauseFunc
	// release lets the carrier go, once words say that it is done and all that it wrote has come.
	release func()
	words   *carrierWords
	sent    func(n int)

	mu    sync.Mutex
	bytes uint64
	hash  hash.Hash
}

// Write sends the next part. What can't be sent ends the transfer.
func (o *outflow) Write(b []byte) (int, error) {
	if err := o.message(&providerv1.GetVolumeResponse{Data: b}); err != nil {
		o.cancel(err)
		return 0, err
	}
	o.sent(len(b))
	o.settle()
	return len(b), nil
}

func (o *outflow) message(m *providerv1.GetVolumeResponse) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.hash.Write(m.Data)
	o.bytes += uint64(len(m.Data))
	return o.send(m)
}

func (o *outflow) sum() (uint64, []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes, o.hash.Sum(nil)
}

func (o *outflow) settle() {
	n, _ := o.sum()
	if r := o.words.report(); r != nil {
		if n >= r.Bytes {
			o.release()
		} else {
			o.words.late(o.release)
		}
	}
}

// beat sends heartbeats and looks whether the caller may still, until ctx ends.
func (o *outflow) beat(ctx context.Context, tick func() error) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		err := tick()
		if err == nil {
			err = o.message(&providerv1.GetVolumeResponse{})
		}
		if err != nil {
			o.cancel(err)
			return
		}
	}
}

// put passes on what is received until it ends, and waits for the carrier to say that it is written.
func (t *transfer) put(ctx context.Context, m *providerv1.PutVolumeRequest, receive func() (*providerv1.PutVolumeRequest, error)) (*providerv1.Carried, error) {
	at, err := t.carrier(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in, frames := io.Pipe()
	said := &carrierWords{done: func() { _ = frames.Close() }}
	ran := make(chan error, 1)
	go func() {
		alive := t.watch(cancel)
		defer alive.Stop()
		err := t.run(ctx, at, carrierStreams{In: in, Out: io.Discard, Err: heard{said, alive}})
		_ = in.CloseWithError(errEnded)
		ran <- err
	}()
	err = t.pass(frames, m, receive)
	if err != nil && !errors.Is(err, errEnded) && said.report() == nil {
		_ = frames.CloseWithError(err)
		cancel(err)
		return nil, cmp.Or(err, <-ran) // when it is over
	}
	report, err := said.outcome(ctx, t, <-ran)
	if err != nil {
		return nil, cause(ctx, err)
	}
	return report.proto(), nil
}

// errEnded says that the carrier is gone: it knows best why.
var errEnded = errors.New("the carrier has ended")

// pass makes frames of messages, up to the last one: what the carrier reads has to say where it ends.
func (t *transfer) pass(frames io.Writer, m *providerv1.PutVolumeRequest, receive func() (*providerv1.PutVolumeRequest, error)) error {
	for last := t.g.parts.Now(); ; {
		if len(m.Data) > 0 {
			head := binary.BigEndian.AppendUint32(nil, uint32(len(m.Data)))
			if _, err := frames.Write(append(head, m.Data...)); err != nil {
				return err
			}
		}
		if m.Last {
			_, err := frames.Write(make([]byte, 4))
			return err
		}
		if now := t.g.parts.Now(); now.Sub(last) >= heartbeat {
			last = now
			if err := t.tick(); err != nil {
				return err
			}
		}
		var err error
		if m, err = receive(); err != nil {
			return err
		}
	}
}

// carrierReport is what a carrier says at the end.
type carrierReport struct {
	Bytes   uint64 `json:"bytes"`
	SHA256  []byte `json:"sha256"`
	Changed uint64 `json:"changed"`
	Example string `json:"example"`
	// Code and Why say that it failed, as its exit would: it stays until nothing more is sent to it.
	Code int    `json:"code"`
	Why  string `json:"why"`
}

func (r *carrierReport) proto() *providerv1.Carried {
	return &providerv1.Carried{Bytes: r.Bytes, Sha256: r.SHA256, Changed: r.Changed, Example: oneLine(r.Example)}
}

// carrierWords is what a carrier says: a report as its last line, or why there is none. It calls done at the report.
type carrierWords struct {
	done func()

	mu    sync.Mutex
	text  []byte
	found *carrierReport
	timer *time.Timer
}

// Write implements io.Writer.
func (w *carrierWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	text := b
	if len(w.text) == 0 {
		text = bytes.TrimLeft(b, "\n") // which says that it is there, and nothing else
	}
	w.text = append(w.text, text[:min(len(text), maxReport-len(w.text))]...)
	r := &carrierReport{}
	if w.found == nil && bytes.HasSuffix(w.text, []byte("\n")) && json.Unmarshal(w.text, r) == nil {
		w.found = r
	}
	found := w.found
	w.mu.Unlock()
	if found != nil {
		w.done()
	}
	return len(b), nil
}

func (w *carrierWords) report() *carrierReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// late calls f, should nothing else end what is waited for.
func (w *carrierWords) late(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		w.timer = time.AfterFunc(lastBytes, f)
	}
}

// outcome is the report, or what a carrier's end means to who asked for the transfer.
func (w *carrierWords) outcome(ctx context.Context, t *transfer, ended error) (*carrierReport, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.found != nil && w.found.Code != 0 {
		return nil, w.failed(t.statement.Volume, w.found.Code, oneLine(w.found.Why))
	}
	if ended == nil && w.found != nil {
		return w.found, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	volume, why := t.statement.Volume, oneLine(string(w.text))
	const signal = 128 // from here on it is one that ended the carrier
	var exit exec.CodeExitError
	if !errors.As(ended, &exit) || exit.Code > signal {
		t.g.parts.Log.WarnContext(ctx, "transfer broke off", "app", t.app, "volume", volume, "error", ended)
		err := refuse(providerv1.Reason_REASON_TRANSFER_BROKEN, "the transfer of volume %s broke off: what has it was stopped or started anew meanwhile", volume)
		return nil, fault.Hint(err, "run the command again")
	}
	return nil, w.failed(volume, exit.Code, why)
}

// failed is what a carrier's exit code means.
func (w *carrierWords) failed(volume string, code int, why string) error {
	switch code {
	case int(syscall.ENOSPC):
		err := refuse(providerv1.Reason_REASON_VOLUME_FULL, "the volume is full: %s", why)
		return fault.Hint(err, "give it more room in the app file (x-apocryph: {size: …}) and deploy that; what was written before stays")
	case int(syscall.EBADMSG):
		err := refuse(providerv1.Reason_REASON_ARCHIVE_INVALID, "%s", why)
		return fault.Hint(err, "send a tar stream, not compressed; what was written before stays")
	}
	err := refuse(providerv1.Reason_REASON_TRANSFER_BROKEN, "the transfer of volume %s broke off: %s", volume, why)
	return fault.Hint(err, "run the command again")
}
