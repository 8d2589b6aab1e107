// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/span"
)

var (
	// ErrNoVolume says that an app has no volume of a name.
	ErrNoVolume = errors.New("there is no such volume")
	// ErrVolumeInUse says that a volume can't be removed because the app's present version mounts it.
	ErrVolumeInUse = errors.New("the volume is in use")
)

// Volume is one of an app's, as its provider has it.
type Volume struct {
	Name      string
	SizeBytes uint64
	// Services mount it. None does when it left the app file: then it is kept until it is removed.
	Services []string
}

// Kept reports whether a volume left the app file.
func (v Volume) Kept() bool { return len(v.Services) == 0 }

// Volumes returns an app's volumes by name.
func (p *Publisher) Volumes(ctx context.Context, a *App) ([]Volume, error) {
	st, err := p.Status(ctx, a)
	if err != nil {
		return nil, err
	}
	return volumesOf(st), nil
}

func volumesOf(st *providerv1.AppStatus) []Volume {
	var all []Volume
	for _, v := range st.GetVolumes() {
		one := Volume{Name: Clean(v.GetName()), SizeBytes: v.GetSizeBytes()}
		for _, s := range v.GetServices() {
			one.Services = append(one.Services, Clean(s))
		}
		all = append(all, one)
	}
	return all
}

// Removable returns a volume that RemoveVolume would delete, or ErrNoVolume or ErrVolumeInUse.
func (p *Publisher) Removable(ctx context.Context, a *App, name string) (Volume, error) {
	all, err := p.Volumes(ctx, a)
	if err != nil {
		return Volume{}, err
	}
	i := slices.IndexFunc(all, func(v Volume) bool { return v.Name == name })
	if i < 0 {
		return Volume{}, fault.Hint(fmt.Errorf("app %s, volume %s: %w", a.Name, name, ErrNoVolume), "see its volumes with: apocryph volume ls "+a.Name)
	}
	if !all[i].Kept() {
		return Volume{}, inUse(a, name)
	}
	return all[i], nil
}

func inUse(a *App, name string) error {
	return fault.Hint(fmt.Errorf("app %s, volume %s: %w", a.Name, name, ErrVolumeInUse), "take it out of the app file and deploy that first")
}

// RemoveVolume has a volume deleted that left the app file, by another version of the app that says so, and waits until it is gone.
func (p *Publisher) RemoveVolume(ctx context.Context, app, name string, wait time.Duration) error {
	done, err := p.change(ctx, app, change{wait: wait, to: func(a *App) (*manifestv1.Manifest, error) {
		m, err := a.decode(a.Manifest)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m.GetVolumes(), func(v *manifestv1.Volume) bool { return v.GetName() == name }) {
			return nil, inUse(a, name)
		}
		m.RemovedVolumes = []string{name}
		return m, nil
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		all, err := p.Volumes(ctx, done.App)
		if err == nil && !slices.ContainsFunc(all, func(v Volume) bool { return v.Name == name }) {
			return nil
		}
		if failed := span.Wait(ctx, watchPause); failed != nil {
			return fault.Hint(fmt.Errorf("waiting until volume %s is gone: %w", name, errors.Join(err, failed)), "it is ordered and will go; see: apocryph volume ls "+done.App.Name)
		}
	}
}
