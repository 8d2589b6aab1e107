// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// ErrNothingBefore says that an app has no version to go back to.
var ErrNothingBefore = errors.New("there is no version before this one")

// Restart has an app's services started anew, all of them when none is named, and waits until they are ready. What they are stays the same.
func (p *Publisher) Restart(ctx context.Context, app string, services []string, wait time.Duration) (*Deployed, error) {
	return p.change(ctx, app, change{wait: wait, restarts: true, to: func(a *App) (*manifestv1.Manifest, error) {
		m, err := a.decode(a.Manifest)
		if err != nil {
			return nil, err
		}
		m.RemovedVolumes = nil
		missing := slices.Clone(services)
		for _, s := range m.Services {
			if len(services) == 0 || slices.Contains(services, s.Name) {
				s.Revision++
			}
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == s.Name })
		}
		if len(missing) > 0 {
			return nil, fault.Hint(fmt.Errorf("app %s has no service %q", a.Name, missing[0]), "see its services with: apocryph status "+a.Name)
		}
		return m, nil
	}})
}

// Rollback has the version before the present one in force again, which can itself be taken back in the same way. Volumes stay as they
// are. It returns ErrNothingBefore when there was none.
func (p *Publisher) Rollback(ctx context.Context, app string, wait time.Duration) (*Deployed, error) {
	return p.change(ctx, app, change{wait: wait, to: before})
}

// Undone returns what Rollback would change.
func (p *Publisher) Undone(app string) ([]Change, error) {
	a, err := p.Store.Find(app)
	if err != nil {
		return nil, err
	}
	to, err := before(a)
	if err != nil {
		return nil, err
	}
	from, err := a.decode(a.Manifest)
	if err != nil {
		return nil, err
	}
	return Diff(from, to), nil
}

// before is the version to go back to: the last that the enclave accepted, unless that is the present one.
func before(a *App) (*manifestv1.Manifest, error) {
	encoded := a.Before
	if len(a.Verified) > 0 && !bytes.Equal(a.Verified, a.Manifest) {
		encoded = a.Verified
	}
	if len(encoded) == 0 {
		return nil, fault.Hint(fmt.Errorf("app %s: %w", a.Name, ErrNothingBefore), "the version before is known after an update that was made from this machine")
	}
	m, err := a.decode(encoded)
	if err != nil {
		return nil, err
	}
	m.RemovedVolumes = nil // what was removed then is not what has come by that name since
	is, err := a.decode(a.Manifest)
	if err != nil {
		return nil, err
	}
	for sizes, i := sizesOf(is), 0; i < len(m.Volumes); i++ { // what has grown since stays as large
		m.Volumes[i].SizeBytes = max(m.Volumes[i].SizeBytes, sizes[m.Volumes[i].Name])
	}
	return m, keepRevisions(a, m)
}

// Compare returns what a deploy of the file would change of the app of its name. It needs no provider.
func (p *Publisher) Compare(ctx context.Context, file *appfile.File) (*App, []Change, error) {
	known, err := p.Store.Find(file.Name)
	if err != nil {
		return nil, nil, err
	}
	d := &deployment{Publisher: p, app: known, order: Order{File: file}}
	if err := d.changeable(); err != nil {
		return nil, nil, err
	}
	is, err := known.decode(known.Manifest)
	if err != nil {
		return nil, nil, err
	}
	if err := d.pin(ctx); err != nil {
		return nil, nil, err
	}
	return known, Diff(is, d.manifest), nil
}

// change is another manifest for an app that is deployed, of images that the provider has.
type change struct {
	to       func(*App) (*manifestv1.Manifest, error)
	restarts bool
	wait     time.Duration
}

func (p *Publisher) change(ctx context.Context, app string, c change) (*Deployed, error) {
	known, err := p.Store.Find(app)
	if err != nil {
		return nil, err
	}
	unlock, err := p.Store.Lock(known.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if known, err = p.Store.Find(app); err != nil {
		return nil, err
	}
	d := &deployment{Publisher: p, app: known, restarts: c.restarts, order: Order{Endpoint: known.Endpoint, Wait: c.wait}}
	if err := d.changeable(); err != nil {
		return nil, err
	}
	if d.manifest, err = c.to(known); err != nil {
		return nil, err
	}
	if err := d.meet(ctx); err != nil {
		return nil, err
	}
	defer d.session.Close()
	if err := d.takeUp(ctx, d.session, d.app); err != nil {
		return nil, err
	}
	if err := d.asKnown(ctx); err != nil {
		return nil, err
	}
	status, err := d.install(ctx)
	return &Deployed{App: d.app, Status: status}, err
}

// asKnown returns an error if the provider has another version than the one that this change is made of, as after a deploy that was cut
// short or one from another machine: nobody asked to go back behind that.
func (d *deployment) asKnown(ctx context.Context) error {
	st, err := d.statusAt(ctx, d.session, d.app)
	if err != nil {
		return err
	}
	known, err := d.app.decode(d.app.Manifest)
	if err != nil {
		return err
	}
	for _, m := range []*manifestv1.Manifest{known, d.manifest} {
		if hash, err := manifest.HashOf(m); err != nil || manifest.Hash(to32(st.ManifestHash)) == hash {
			return err
		}
	}
	return fault.Hint(fmt.Errorf("the provider has another version of app %s than the last that this machine knows of", d.app.Name),
		"deploy its file again from here first, or run this where it was last deployed")
}

// changeable returns an error unless the app is deployed, and this wallet's.
func (d *deployment) changeable() error {
	switch a := d.app; {
	case a.Stage != StageApplied:
		return fault.Hint(fmt.Errorf("app %s is not deployed (%s)", a.Name, a.Stage), "see apocryph status "+a.Name)
	case a.Publisher != d.Wallet.Address():
		return fault.Hint(fmt.Errorf("app %s belongs to wallet %s, this is %s", a.Name, a.Publisher, d.Wallet.Address()), "use that wallet: --wallet FILE")
	}
	return nil
}
