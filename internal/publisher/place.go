// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/span"
)

// place pushes, applies and watches.
func (d *deployment) place(ctx context.Context) (*providerv1.AppStatus, error) {
	if err := d.push(ctx); err != nil {
		return nil, d.afterOpening(ctx, err)
	}
	return d.install(ctx)
}

// install orders the manifest and waits until it is in force.
func (d *deployment) install(ctx context.Context) (*providerv1.AppStatus, error) {
	if err := d.apply(ctx); err != nil {
		return nil, d.afterOpening(ctx, err)
	}
	hash, err := manifest.HashOf(d.manifest)
	if err != nil {
		return nil, err
	}
	status, err := d.untilReady(ctx, hash)
	switch {
	case errors.Is(err, errRefused):
		return status, d.afterOpening(ctx, err)
	case err != nil:
		return status, err
	}
	d.app.URL = Clean(status.Url)
	return status, d.Store.Save(d.app)
}

// push sends every image that the provider does not have.
func (d *deployment) push(ctx context.Context) error {
	for _, s := range d.manifest.Services {
		under, err := d.delegate(d.app, forUse())
		if err != nil {
			return err
		}
		value, err := delegation.EncodeHeader(under)
		if err != nil {
			return err
		}
		header := http.Header{}
		header.Set(delegation.Header, value)
		header.Set(delegation.HeaderSalt, delegation.EncodeSalt(d.app.Salt))
		to := PushTarget{Transport: d.session.Transport, App: d.app.ID.String(), Service: s.Name, Header: header}
		err = d.images[s.Image].Push(ctx, to, func(done, total int64) {
			d.tell(Event{Step: "push", Message: "image of " + s.Name, Done: done, Total: total})
		})
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		d.report("push", fmt.Sprintf("the provider has the image of %s", s.Name))
	}
	return nil
}

const (
	applyPause = 2 * time.Second
	// applyAttempts bridge the blocks that a provider waits for before it counts an opening.
	applyAttempts = 45
)

// apply orders the manifest. A provider that does not see the channel yet is asked again for a while.
func (d *deployment) apply(ctx context.Context) error {
	hash, err := manifest.HashOf(d.manifest)
	if err != nil {
		return err
	}
	under, err := d.delegate(d.app, forUse())
	if err != nil {
		return err
	}
	order, on := delegation.Statement{Action: orderv1.Action_ACTION_APPLY, ManifestHash: hash}, d.app.Channel
	if d.succeeds {
		on = *d.app.Next
		order.Channel, order.Former = on.ID, append(d.app.former(), d.app.Channel.ID)
	}
	signed, err := d.statement(d.app, order, under)
	if err != nil {
		return err
	}
	if err := d.Store.Save(d.app); err != nil {
		return err
	}
	request, err := d.applyRequest(signed, on)
	if err != nil {
		return err
	}
	d.report("apply", "ordering app "+d.app.ID.String())
	for attempt := 1; ; attempt++ {
		err = d.applyOnce(ctx, request)
		reason := fault.ReasonOf(err)
		unseen := reason == providerv1.Reason_REASON_CHANNEL_NOT_FOUND || reason == providerv1.Reason_REASON_CHAIN_UNSEEN
		if !unseen || attempt == applyAttempts {
			break
		}
		if err := span.Wait(ctx, applyPause); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	encoded, err := manifest.Encode(d.manifest)
	if err != nil {
		return err
	}
	if d.succeeds {
		d.app.promote()
		d.succeeds = false
	}
	d.app.Manifest, d.app.Stage = encoded, StageApplied
	return d.Store.Save(d.app)
}

// accepted notes that the enclave stands behind the manifest: from now on it is a version to go back to.
func (d *deployment) accepted() error {
	a := d.app
	if bytes.Equal(a.Verified, a.Manifest) {
		return nil
	}
	if !d.restarts && len(a.Verified) > 0 {
		a.Before = a.Verified
	}
	a.Verified = a.Manifest
	return d.Store.Save(a)
}

func (d *deployment) applyRequest(signed *orderv1.SignedStatement, on Channel) (*providerv1.ApplyRequest, error) {
	wire, _, err := on.terms()
	if err != nil {
		return nil, err
	}
	q, _, err := on.quote()
	if err != nil {
		return nil, err
	}
	return &providerv1.ApplyRequest{Manifest: proto.CloneOf(d.manifest), AppSalt: d.app.Salt[:], Statement: signed, Terms: wire, Quote: q}, nil
}

func (d *deployment) applyOnce(ctx context.Context, request *providerv1.ApplyRequest) error {
	ctx, err := d.authorized(ctx, d.app, forUse())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if _, err := d.session.RPC.Apply(ctx, request); err != nil {
		return fmt.Errorf("ordering the app: %w", refusal(err))
	}
	return nil
}

// afterOpening handles a failure with money in the channel. When the provider refused a new app for good, it is asked to release the channel at once.
func (d *deployment) afterOpening(ctx context.Context, cause error) error {
	if !d.first {
		hint := "the version before goes on running"
		if inner := fault.HintOf(cause); inner != "" {
			hint = inner + "; " + hint
		}
		return fault.Hint(cause, hint)
	}
	if ctx.Err() != nil || (retryable(cause) && !errors.Is(cause, errRefused)) {
		return d.locked(cause)
	}
	d.report("stop", "the provider refused; asking it to release the channel")
	ctx, cancel := context.WithTimeout(ctx, giveUpTime)
	defer cancel()
	r, err := d.end(ctx, d.session, d.app)
	if err != nil {
		return d.locked(cause)
	}
	return fault.Hint(cause, fmt.Sprintf("the channel is closed and %s base units are back in the wallet; %s", r.Refunded, fault.HintOf(cause)))
}

// giveUpTime bounds how long a provider that refused an app is given to release the channel.
const giveUpTime = time.Minute
