// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

const uploads = 2

// Target says where at a provider an image goes.
type Target struct {
	// Transport reaches the provider's gateway; the URL's host means nothing to it.
	Transport http.RoundTripper
	// App is the app id as text, Service the Compose service's name.
	App     string
	Service string
	// Header goes with every request: delegation.Header and delegation.HeaderSalt.
	Header http.Header
}

// Push pushes an image by its digest; what the provider has already is not sent again. Progress, unless nil, is called with bytes done and
// in all, from one goroutine at a time, and no more after Push returned. A refusal carries its reason (fault.ReasonOf) and hint.
func Push(ctx context.Context, to Target, img v1.Image, progress func(done, total int64)) error {
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("pushing image: %w", err)
	}
	size, err := sizeOf(img)
	if err != nil {
		return fmt.Errorf("pushing image %s: %w", digest, err)
	}
	registry, err := name.NewRegistry("provider", name.Insecure)
	if err != nil {
		return fmt.Errorf("pushing image %s: %w", digest, err)
	}
	ref := registry.Repo(to.App, to.Service).Digest(digest.String())
	counter := &counter{total: size, report: progress}
	options := []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(headers{to.Transport, to.Header, counter}),
		remote.WithJobs(uploads),
	}
	_, err = remote.Head(ref, options...)
	if e := new(transport.Error); errors.As(err, &e) {
		if e.StatusCode == http.StatusNotFound {
			err = remote.Write(ref, img, options...)
		} else {
			// A refused HEAD has no body that says why.
			_, err = remote.Get(ref, options...)
		}
	}
	if err != nil {
		counter.stop()
		return fmt.Errorf("pushing image %s: %w", digest, refused(err))
	}
	counter.finish()
	return nil
}

// refused adds the reason and hint that a gateway puts into the detail of an OCI error.
func refused(err error) error {
	e := new(transport.Error)
	if !errors.As(err, &e) {
		return err
	}
	for _, d := range e.Errors {
		var detail struct{ Reason, Hint string }
		b, merr := json.Marshal(d.Detail)
		if merr != nil || json.Unmarshal(b, &detail) != nil || detail.Reason == "" {
			continue
		}
		err = fault.As(err, fault.Reason(providerv1.Reason_value[detail.Reason]))
		if detail.Hint != "" {
			err = fault.Hint(err, detail.Hint)
		}
		break
	}
	return err
}

type headers struct {
	next  http.RoundTripper
	add   http.Header
	count *counter
}

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for key, values := range h.add {
		r.Header[http.CanonicalHeaderKey(key)] = values
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = counted{r.Body, h.count}
	}
	return h.next.RoundTrip(r)
}

// counter reports progress. Go-containerregistry's own closes a channel that a request's body may still write to.
type counter struct {
	total  int64
	report func(done, total int64)

	mu      sync.Mutex
	done    int64
	stopped bool
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.report == nil || n == 0 {
		return
	}
	// A retry counts its bytes again.
	c.done = min(c.done+int64(n), c.total)
	c.report(c.done, c.total)
}

func (c *counter) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

func (c *counter) finish() {
	c.stop()
	if c.report != nil {
		c.report(c.total, c.total)
	}
}

type counted struct {
	io.ReadCloser
	count *counter
}

func (b counted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.add(n)
	return n, err
}
