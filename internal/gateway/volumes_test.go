// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/exec"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/carrier"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// volumes are a world with an app that has one, which lies in a directory. It plays keeper, controller and carrier.
type volumes struct {
	*world
	dir string
	id  delegation.AppID
	// place answers a transfer, run replaces what is run.
	place func(*v1alpha1.App) v1alpha1.Carrier
	run   func(context.Context, carrierAt, carrierStreams) error

	mu  sync.Mutex
	ran []carrierAt
}

func newVolumes(t *testing.T) *volumes {
	t.Helper()
	v := &volumes{world: newWorld(t), dir: t.TempDir()}
	v.place = func(*v1alpha1.App) v1alpha1.Carrier {
		return v1alpha1.Carrier{Pod: "web-1", Container: "apocryph-carrier-0", Path: "/.apocryph/data"}
	}
	v.run = v.carry
	v.g.parts.Carriers = v
	v.accept(nil)
	v.id = v.app(v.publisher)
	app := v.get(v.id)
	app.Status.Volumes = []v1alpha1.VolumeStatus{{Name: "data", SizeBytes: 1 << 30}, {Name: "more"}, {Name: "most"}}
	if err := v.cluster.Status().Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var played sync.WaitGroup
	played.Go(func() { v.play(ctx) })
	t.Cleanup(func() { cancel(); played.Wait() })
	return v
}

// play answers each statement that is written onto the app.
func (v *volumes) play(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(time.Millisecond)
		var app v1alpha1.App
		if err := v.cluster.Get(ctx, v.g.key(v.id), &app); err != nil {
			continue
		}
		var all []v1alpha1.Carrier
		for key := range app.Annotations {
			if volume, ok := strings.CutPrefix(key, v1alpha1.AnnotationTransfer); ok {
				c := v.place(&app)
				c.Volume, c.Sequence = volume, 5
				all = append(all, c)
			}
		}
		if len(all) != len(app.Status.Carriers) {
			app.Status.Carriers = all
			_ = v.cluster.Status().Update(ctx, &app)
		}
	}
}

// Run implements carriers.
func (v *volumes) Run(ctx context.Context, in carrierAt, s carrierStreams) error {
	v.mu.Lock()
	v.ran = append(v.ran, in)
	v.mu.Unlock()
	return v.run(ctx, in, s)
}

// carry is what the carrier does.
func (v *volumes) carry(_ context.Context, in carrierAt, s carrierStreams) error {
	var r carrier.Report
	var err error
	if in.Command[1] == "put" {
		r, err = carrier.Put(v.dir, s.In)
	} else {
		r, err = carrier.Get(s.Out, v.dir)
	}
	code := 1
	switch {
	case errors.Is(err, carrier.ErrArchive):
		code = int(syscall.EBADMSG)
	case errors.Is(err, carrier.ErrBroken):
		code = int(syscall.EPIPE)
	}
	if err != nil {
		_, _ = fmt.Fprintln(s.Err, err)
		return exec.CodeExitError{Err: err, Code: code}
	}
	if err := json.NewEncoder(s.Err).Encode(r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, s.In)
	return err
}

func (v *volumes) sign(action orderv1.Action, volume string, edit func(*delegation.Statement)) *orderv1.SignedStatement {
	v.t.Helper()
	on, err := channel.ParseID(v.get(v.id).Spec.Channel)
	if err != nil {
		v.t.Fatal(err)
	}
	st := delegation.Statement{App: v.id, Action: action, Sequence: 5, Channel: on, IssuedAt: v.now, Volume: volume}
	if edit != nil {
		edit(&st)
	}
	signed, err := delegation.SignStatement(st, v.publisher.peer, v.grant(v.publisher, nil))
	if err != nil {
		v.t.Fatal(err)
	}
	return signed
}

// fetch is a whole GetVolume.
func (v *volumes) fetch(signed *orderv1.SignedStatement) ([]byte, *providerv1.Carried, error) {
	ctx := v.as(v.publisher)
	t, err := v.g.beginTransfer(ctx, signed, orderv1.Action_ACTION_GET_VOLUME)
	if err != nil {
		return nil, nil, err
	}
	defer t.end(ctx)
	var got bytes.Buffer
	var carried *providerv1.Carried
	err = t.get(ctx, func(m *providerv1.GetVolumeResponse) error {
		_, _ = got.Write(m.Data)
		carried = m.Carried
		return nil
	})
	return got.Bytes(), carried, err
}

// store is a whole PutVolume, of messages.
func (v *volumes) store(signed *orderv1.SignedStatement, messages ...*providerv1.PutVolumeRequest) (*providerv1.Carried, error) {
	ctx := v.as(v.publisher)
	t, err := v.g.beginTransfer(ctx, signed, orderv1.Action_ACTION_PUT_VOLUME)
	if err != nil {
		return nil, err
	}
	defer t.end(ctx)
	return t.put(ctx, &providerv1.PutVolumeRequest{Statement: signed}, func() (*providerv1.PutVolumeRequest, error) {
		if len(messages) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		m := messages[0]
		messages = messages[1:]
		return m, nil
	})
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), Uid: os.Getuid(), Gid: os.Getgid()}
		if err := errors.Join(w.WriteHeader(h), must(w.Write([]byte(content)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func must(_ int, err error) error { return err }

func parts(b []byte) []*providerv1.PutVolumeRequest {
	half := len(b) / 2
	return []*providerv1.PutVolumeRequest{{Data: b[:half]}, {}, {Data: b[half:], Last: true}}
}

// What is in a volume goes out as it is, and what is sent is in it afterwards; nothing is left on the App.
func TestVolumesGoOutAndComeIn(t *testing.T) {
	v := newVolumes(t)
	if err := os.WriteFile(filepath.Join(v.dir, "old"), []byte("stays"), 0o644); err != nil {
		t.Fatal(err)
	}
	sent := archive(t, map[string]string{"new": strings.Repeat("content ", 100_000)})
	carried, err := v.store(v.sign(orderv1.Action_ACTION_PUT_VOLUME, "data", nil), parts(sent)...)
	if err != nil || carried.Bytes != uint64(len(sent)) {
		t.Fatalf("put: %v, %v", carried, err)
	}
	got, carried, err := v.fetch(v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil))
	if err != nil || carried == nil || carried.Bytes != uint64(len(got)) {
		t.Fatalf("get: %v, %v", carried, err)
	}
	found := map[string]int{}
	for r := tar.NewReader(bytes.NewReader(got)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = int(h.Size)
	}
	if found["./old"] != 5 || found["./new"] != 800_000 || len(found) != 3 {
		t.Errorf("in it is %v", found)
	}
	want := carrierAt{v1alpha1.Namespace(v.id.String()), "web-1", "apocryph-carrier-0", []string{carrierProgram, "put", "/.apocryph/data"}}
	if fmt.Sprint(v.ran[0]) != fmt.Sprint(want) {
		t.Errorf("run is %v, want %v", v.ran[0], want)
	}
	if a := v.get(v.id).Annotations; len(a) != 0 {
		t.Errorf("left on the app: %v", a)
	}
	if len(v.g.transfers) != 0 {
		t.Errorf("left in memory: %v", v.g.transfers)
	}
}

func TestTransfersThatAreRefused(t *testing.T) {
	for name, step := range map[string]struct {
		volume string
		edit   func(*delegation.Statement)
		app    func(*v1alpha1.App)
		want   providerv1.Reason
	}{
		"a volume that is not there":      {volume: "none", want: providerv1.Reason_REASON_VOLUME_NOT_FOUND},
		"a statement of long ago":         {edit: func(s *delegation.Statement) { s.IssuedAt = s.IssuedAt.Add(-6 * time.Minute) }, want: providerv1.Reason_REASON_STATEMENT_STALE},
		"a statement of the future":       {edit: func(s *delegation.Statement) { s.IssuedAt = s.IssuedAt.Add(6 * time.Minute) }, want: providerv1.Reason_REASON_STATEMENT_STALE},
		"a statement for another channel": {edit: func(s *delegation.Statement) { s.Channel[0]++ }, want: providerv1.Reason_REASON_CHANNEL_TERMS},
		"a statement for the other way":   {edit: func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_PUT_VOLUME }, want: providerv1.Reason_REASON_STATEMENT_INVALID},
		"an app that is stopped":          {app: func(a *v1alpha1.App) { a.Spec.Stop = []byte("stop") }, want: providerv1.Reason_REASON_APP_ENDED},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolumes(t)
			if step.app != nil {
				app := v.get(v.id)
				step.app(app)
				if err := v.cluster.Update(t.Context(), app); err != nil {
					t.Fatal(err)
				}
			}
			volume := "data"
			if step.volume != "" {
				volume = step.volume
			}
			_, _, err := v.fetch(v.sign(orderv1.Action_ACTION_GET_VOLUME, volume, step.edit))
			if got := reasonOf(err); got != step.want {
				t.Errorf("refused as %s (%v), want %s", got, err, step.want)
			}
			if len(v.ran) > 0 || len(v.get(v.id).Annotations) > 0 || len(v.g.transfers) > 0 {
				t.Errorf("it left something: %v %v %v", v.ran, v.get(v.id).Annotations, v.g.transfers)
			}
		})
	}
}

// A stranger's statement moves nobody's volume, and says nothing about whether there is one.
func TestAStrangerMovesNothing(t *testing.T) {
	v := newVolumes(t)
	signed := v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil)
	_, err := v.g.beginTransfer(v.as(v.stranger), signed, orderv1.Action_ACTION_GET_VOLUME)
	if got := reasonOf(err); got != providerv1.Reason_REASON_DELEGATION_FOREIGN {
		t.Errorf("somebody else's statement is refused as %s: %v", got, err)
	}
	st := delegation.Statement{App: v.id, Action: orderv1.Action_ACTION_GET_VOLUME, Sequence: 5, IssuedAt: v.now, Volume: "data"}
	own, err := delegation.SignStatement(st, v.stranger.peer, v.grant(v.stranger, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.g.beginTransfer(v.as(v.stranger), own, orderv1.Action_ACTION_GET_VOLUME)
	if got := reasonOf(err); got != providerv1.Reason_REASON_APP_FOREIGN {
		t.Errorf("a statement about somebody else's app is refused as %s: %v", got, err)
	}
}

func TestWhatTheOthersSayOfATransferIsTold(t *testing.T) {
	for name, step := range map[string]struct {
		place v1alpha1.Carrier
		run   error
		said  string
		want  providerv1.Reason
		text  string
	}{
		"no carrier comes":         {place: v1alpha1.Carrier{Problem: "nothing has ever used it"}, want: providerv1.Reason_REASON_VOLUME_UNAVAILABLE, text: "nothing has ever used it"},
		"the volume is full":       {run: exec.CodeExitError{Code: int(syscall.ENOSPC)}, said: "the volume is full: x", want: providerv1.Reason_REASON_VOLUME_FULL, text: "the volume is full"},
		"the archive is none":      {run: exec.CodeExitError{Code: int(syscall.EBADMSG)}, said: "not an archive", want: providerv1.Reason_REASON_ARCHIVE_INVALID, text: "not an archive"},
		"the carrier was killed":   {run: exec.CodeExitError{Code: 137}, want: providerv1.Reason_REASON_TRANSFER_BROKEN, text: "stopped or started anew"},
		"the way to it broke":      {run: io.ErrUnexpectedEOF, want: providerv1.Reason_REASON_TRANSFER_BROKEN, text: "stopped or started anew"},
		"it ends without a report": {want: providerv1.Reason_REASON_TRANSFER_BROKEN, text: "stopped or started anew"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolumes(t)
			if step.place.Problem != "" {
				v.place = func(*v1alpha1.App) v1alpha1.Carrier { return step.place }
			}
			v.run = func(_ context.Context, _ carrierAt, s carrierStreams) error {
				_, _ = io.WriteString(s.Err, step.said)
				return step.run
			}
			_, getErr := first(v.fetch(v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil)))
			_, putErr := v.store(v.sign(orderv1.Action_ACTION_PUT_VOLUME, "data", nil), parts(archive(t, nil))...)
			for _, err := range []error{getErr, putErr} {
				if got := reasonOf(err); got != step.want || !strings.Contains(fmt.Sprint(err), step.text) {
					t.Errorf("it is %s: %v", got, err)
				}
			}
		})
	}
}

func first(b []byte, _ *providerv1.Carried, err error) ([]byte, error) { return b, err }

// What did not all arrive is no success: neither bytes that were lost on the way out, nor a stream that ends without saying so.
func TestHalfATransferIsNone(t *testing.T) {
	t.Run("bytes are missing", func(t *testing.T) {
		v := newVolumes(t)
		v.run = func(_ context.Context, _ carrierAt, s carrierStreams) error {
			_, err := carrier.Get(io.Discard, v.dir)
			_, _ = io.WriteString(s.Out, "some")
			return errors.Join(err, json.NewEncoder(s.Err).Encode(carrier.Report{Bytes: 3}))
		}
		if _, err := first(v.fetch(v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil))); reasonOf(err) != providerv1.Reason_REASON_TRANSFER_BROKEN {
			t.Errorf("it is %v", err)
		}
	})
	t.Run("the sender goes away", func(t *testing.T) {
		v := newVolumes(t)
		whole := archive(t, map[string]string{"a": "1", "b": strings.Repeat("2", 5000)})
		_, err := v.store(v.sign(orderv1.Action_ACTION_PUT_VOLUME, "data", nil), &providerv1.PutVolumeRequest{Data: whole})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("it is %v", err)
		}
	})
	t.Run("the reader goes away", func(t *testing.T) {
		v := newVolumes(t)
		gone := errors.New("gone")
		ctx := v.as(v.publisher)
		tr, err := v.g.beginTransfer(ctx, v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil), orderv1.Action_ACTION_GET_VOLUME)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.end(ctx)
		v.run = func(ctx context.Context, _ carrierAt, s carrierStreams) error {
			_, _ = io.WriteString(s.Out, "some")
			<-ctx.Done()
			return ctx.Err()
		}
		if err := tr.get(ctx, func(*providerv1.GetVolumeResponse) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("it is %v", err)
		}
	})
}

// One transfer at a volume, two at an app.
func TestTransfersAtOnce(t *testing.T) {
	v := newVolumes(t)
	ctx := v.as(v.publisher)
	begin := func(volume string) (*transfer, error) {
		return v.g.beginTransfer(ctx, v.sign(orderv1.Action_ACTION_GET_VOLUME, volume, nil), orderv1.Action_ACTION_GET_VOLUME)
	}
	one, err := begin("data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begin("data"); reasonOf(err) != providerv1.Reason_REASON_VOLUME_UNAVAILABLE {
		t.Errorf("a second one at the same volume is %v", err)
	}
	two, err := begin("more")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begin("most"); reasonOf(err) != providerv1.Reason_REASON_TOO_MANY_REQUESTS {
		t.Errorf("a third one is %v", err)
	}
	one.end(ctx)
	if again, err := begin("data"); err != nil {
		t.Errorf("after it ended: %v", err)
	} else {
		again.end(ctx)
	}
	two.end(ctx)
}

// The right to run a carrier comes a moment after the carrier.
func TestTheRightToCarryIsWaitedFor(t *testing.T) {
	v := newVolumes(t)
	tries := 0
	v.run = func(ctx context.Context, in carrierAt, s carrierStreams) error {
		if tries++; tries < 3 {
			return kerrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web-1", nil)
		}
		return v.carry(ctx, in, s)
	}
	if _, err := first(v.fetch(v.sign(orderv1.Action_ACTION_GET_VOLUME, "data", nil))); err != nil || tries != 3 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// What a gateway that was killed left behind is taken off, and nothing else.
func TestTransfersAreForgotten(t *testing.T) {
	v := newVolumes(t)
	app := v.get(v.id)
	app.Annotations = map[string]string{v1alpha1.AnnotationTransfer + "data": "x", "other": "stays"}
	if err := v.cluster.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if err := v.g.ForgetTransfers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := v.get(v.id).Annotations; len(got) != 1 || got["other"] != "stays" {
		t.Errorf("left are %v", got)
	}
}

// A volume never shrinks, whoever asks.
func TestAVolumeDoesNotShrink(t *testing.T) {
	v := newVolumes(t)
	was := v.get(v.id)
	r := v.order(func(d *draft) {
		d.sequence, d.manifest.Volumes[0].SizeBytes = 2000, 1<<30-1
		d.statement = func(s *delegation.Statement) {
			on, err := channel.ParseID(was.Spec.Channel)
			if err != nil {
				t.Fatal(err)
			}
			s.Channel = on
		}
	})
	_, err := server{v.g}.Apply(v.as(v.publisher), r)
	if reasonOf(err) != providerv1.Reason_REASON_MANIFEST_INVALID || !strings.Contains(fmt.Sprint(err), "shrink") || fault.HintOf(err) == "" {
		t.Errorf("it is %v", err)
	}
}

func TestACarrierIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		id := w.app(w.publisher)
		c := w.as(w.publisher).Value(callerKey{}).(*caller)
		began := time.Now()
		tr := &transfer{stream{w.g, c, id, orderv1.Operation_OPERATION_APPLY}, delegation.Statement{Volume: "data", Sequence: 5}, "get"}
		_, err := tr.carrier(t.Context())
		if reasonOf(err) != providerv1.Reason_REASON_VOLUME_UNAVAILABLE || fault.HintOf(err) == "" || time.Since(began) != transferStart {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// Heartbeats come while a carrier has nothing to say, and a delegation that ends ends the transfer.
func TestATransferBeatsAndEndsWithItsDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		app := w.get(w.app(w.publisher))
		app.Status.Carriers = []v1alpha1.Carrier{{Volume: "data", Sequence: 5, Pod: "web-1"}}
		if err := w.cluster.Status().Update(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		c := w.as(w.publisher).Value(callerKey{}).(*caller)
		v := &volumes{world: w}
		v.run = func(ctx context.Context, _ carrierAt, s carrierStreams) error {
			for ctx.Err() == nil {
				time.Sleep(5 * time.Second)
				_, _ = io.WriteString(s.Err, "\n")
			}
			return ctx.Err()
		}
		w.g.parts.Carriers = v
		began, beats := time.Now(), 0
		tr := &transfer{stream{w.g, c, w.app(w.publisher), orderv1.Operation_OPERATION_APPLY}, delegation.Statement{Volume: "data", Sequence: 5}, "get"}
		err := tr.get(t.Context(), func(*providerv1.GetVolumeResponse) error { beats++; return nil })
		if !errors.Is(err, delegation.ErrExpired) || beats != 359 || time.Since(began)-time.Hour > 5*time.Second {
			t.Errorf("after %s and %d beats: %v", time.Since(began), beats, err)
		}
	})
}

// A carrier that fails says why and stays until nothing more is sent to it; so it is heard, whatever is under way.
func TestACarrierThatFailsIsHeard(t *testing.T) {
	v := newVolumes(t)
	v.run = func(_ context.Context, _ carrierAt, s carrierStreams) error {
		_, _ = io.ReadFull(s.In, make([]byte, 2000))
		_, _ = fmt.Fprintf(s.Err, `{"code":%d,"why":"the volume is full: x"}`+"\n", int(syscall.ENOSPC))
		_, err := io.Copy(io.Discard, s.In)
		return err
	}
	var many []*providerv1.PutVolumeRequest
	for range 100 {
		many = append(many, &providerv1.PutVolumeRequest{Data: make([]byte, 1000)})
	}
	_, err := v.store(v.sign(orderv1.Action_ACTION_PUT_VOLUME, "data", nil), many...)
	if reasonOf(err) != providerv1.Reason_REASON_VOLUME_FULL || fault.HintOf(err) == "" {
		t.Errorf("it is %v", err)
	}
}

// A carrier of which nothing is heard any more is given up, also when the connection to it stays.
func TestACarrierThatSaysNothingIsGivenUp(t *testing.T) {
	for _, verb := range []string{"get", "put"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.clocked()
			w.accept(nil)
			app := w.get(w.app(w.publisher))
			app.Status.Carriers = []v1alpha1.Carrier{{Volume: "data", Sequence: 5, Pod: "web-1"}}
			if err := w.cluster.Status().Update(t.Context(), app); err != nil {
				t.Fatal(err)
			}
			c := w.as(w.publisher).Value(callerKey{}).(*caller)
			v := &volumes{world: w}
			v.run = func(ctx context.Context, _ carrierAt, s carrierStreams) error {
				for range 20 {
					time.Sleep(5 * time.Second)
					_, _ = io.WriteString(s.Err, "\n")
				}
				<-ctx.Done()
				return ctx.Err()
			}
			w.g.parts.Carriers = v
			began := time.Now()
			tr := &transfer{stream{w.g, c, w.app(w.publisher), orderv1.Operation_OPERATION_APPLY}, delegation.Statement{Volume: "data", Sequence: 5}, verb}
			var err error
			if verb == "get" {
				err = tr.get(t.Context(), func(*providerv1.GetVolumeResponse) error { return nil })
			} else {
				_, err = tr.put(t.Context(), &providerv1.PutVolumeRequest{}, func() (*providerv1.PutVolumeRequest, error) {
					time.Sleep(time.Second)
					return &providerv1.PutVolumeRequest{Data: []byte("x")}, nil
				})
			}
			if reasonOf(err) != providerv1.Reason_REASON_TRANSFER_BROKEN || time.Since(began) != 100*time.Second+silence {
				t.Errorf("%s after %s: %v", verb, time.Since(began), err)
			}
		})
	}
}

// What a carrier says is bounded, as it says what is in a volume.
func TestACarrierThatTalksIsCutShort(t *testing.T) {
	w := &carrierWords{done: func() { t.Error("it is done") }}
	for range 100 {
		if n, err := w.Write(bytes.Repeat([]byte("x"), 1000)); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(w.text) != maxReport || w.report() != nil {
		t.Errorf("%d bytes are kept", len(w.text))
	}
}
