// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/p2p"
)

// volume checks a transfer as a provider does, and returns the app. A volume is as large as its archive may be.
func (f *fakeProvider) volume(ctx context.Context, signed *orderv1.SignedStatement, action orderv1.Action) (a *fakeApp, volume string, size uint64, err error) {
	st, err := delegation.VerifyStatement(signed, f.wallet.Domain(), f.at(), p2p.CheckPeer)
	if err != nil || st.Action != action || time.Since(st.IssuedAt) > time.Minute {
		return nil, "", 0, refused(providerv1.Reason_REASON_STATEMENT_INVALID, "not a statement of now")
	}
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_APPLY, st.App[:]); err != nil {
		return nil, "", 0, err
	}
	if a, err = f.app(st.App[:]); err != nil {
		return nil, "", 0, err
	}
	volumes := a.volumes()
	i := slices.IndexFunc(volumes, func(v *providerv1.VolumeStatus) bool { return v.Name == st.Volume })
	if i < 0 {
		return nil, "", 0, refused(providerv1.Reason_REASON_VOLUME_NOT_FOUND, "the app has no volume "+st.Volume)
	}
	return a, st.Volume, volumes[i].SizeBytes, nil
}

func (f *fakeProvider) GetVolume(ctx context.Context, r *providerv1.GetVolumeRequest, out *connect.ServerStream[providerv1.GetVolumeResponse]) error {
	a, volume, _, err := f.volume(ctx, r.Statement, orderv1.Action_ACTION_GET_VOLUME)
	if err != nil {
		return err
	}
	f.mu.Lock()
	b := a.archives[volume]
	f.mu.Unlock()
	sum := sha256.Sum256(b)
	half := len(b) / 2
	parts := []*providerv1.GetVolumeResponse{{}, {Data: b[:half]}, {}, {Data: b[half:]}, {Carried: &providerv1.Carried{Bytes: uint64(len(b)), Sha256: sum[:], Changed: 1, Example: "log\x1b[2J"}}}
	switch a.manifest.Name {
	case "cut":
		parts = parts[:2]
	case "bent":
		parts[3] = &providerv1.GetVolumeResponse{Data: bytes.Repeat([]byte{1}, len(b)-half)}
	}
	for _, m := range parts {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeProvider) PutVolume(ctx context.Context, in *connect.ClientStream[providerv1.PutVolumeRequest]) (*providerv1.PutVolumeResponse, error) {
	if !in.Receive() {
		return nil, errors.Join(in.Err(), errors.New("no message"))
	}
	a, volume, size, err := f.volume(ctx, in.Msg().Statement, orderv1.Action_ACTION_PUT_VOLUME)
	if err != nil {
		return nil, err
	}
	var b []byte
	for last := false; !last; last = in.Msg().Last {
		if !in.Receive() {
			return nil, refused(providerv1.Reason_REASON_TRANSFER_BROKEN, "it broke off")
		}
		if b = append(b, in.Msg().Data...); uint64(len(b)) > size {
			return nil, refused(providerv1.Reason_REASON_VOLUME_FULL, "the volume is full")
		}
	}
	if _, err := tar.NewReader(bytes.NewReader(b)).Next(); err != nil && !errors.Is(err, io.EOF) || len(b) == 0 {
		return nil, refused(providerv1.Reason_REASON_ARCHIVE_INVALID, "not an archive that a volume takes")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.archives == nil {
		a.archives = map[string][]byte{}
	}
	a.archives[volume] = b
	sum := sha256.Sum256(b)
	return &providerv1.PutVolumeResponse{Carried: &providerv1.Carried{Bytes: uint64(len(b)), Sha256: sum[:]}}, nil
}
