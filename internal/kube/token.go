// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// A projected token lives for an hour and is renewed at 80 %, so a copy this old is still good.
	tokenFresh = time.Minute
	// How long a verdict stands. A deleted service account is refused after at most this.
	verdictFresh = 10 * time.Second
	maxVerdicts  = 1024
	// Larger than any service account's token.
	maxToken = 16 << 10
)

// BearerTransport returns a transport that sends each request with the token in tokenFile, which it reads again once a minute. A nil
// base means http.DefaultTransport. The file is first read at the first request.
func BearerTransport(tokenFile string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &bearer{file: tokenFile, base: base}
}

type bearer struct {
	file string
	base http.RoundTripper

	mu    sync.Mutex
	token string
	read  time.Time
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.current(time.Now())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body on errors too
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.base.RoundTrip(r)
}

func (b *bearer) current(now time.Time) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && now.Sub(b.read) < tokenFresh {
		return b.token, nil
	}
	raw, err := os.ReadFile(b.file)
	if err != nil {
		return "", fmt.Errorf("reading the service account's token: %w", err)
	}
	b.token, b.read = strings.TrimSpace(string(raw)), now
	return b.token, nil
}

// RequireToken lets a request pass to next when it carries a bearer token of this audience that the API server confirms, of one of
// the allowed users ("system:serviceaccount:<namespace>:<name>"). Otherwise it answers 401 (no or bad token), 403 (somebody else's),
// or 503 when the API server can't be asked. A verdict is kept for seconds.
func RequireToken(c client.Writer, audience string, allowed []string, next http.Handler) http.Handler {
	g := &guard{
		client: c, audience: audience, allowed: slices.Clone(allowed), next: next,
		verdicts: map[[sha256.Size]byte]verdict{},
	}
	return g
}

type guard struct {
	client   client.Writer
	audience string
	allowed  []string
	next     http.Handler

	mu       sync.Mutex
	verdicts map[[sha256.Size]byte]verdict
}

// verdict is whom a token proves; nobody means that it is bad.
type verdict struct {
	user string
	at   time.Time
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || len(token) > maxToken {
		g.refuse(w, http.StatusUnauthorized, "a service account's token is needed")
		return
	}
	user, err := g.review(r.Context(), token, time.Now())
	switch {
	case err != nil:
		g.refuse(w, http.StatusServiceUnavailable, "the token can't be checked now")
	case user == "":
		g.refuse(w, http.StatusUnauthorized, "the token is not valid here")
	case !slices.Contains(g.allowed, user):
		g.refuse(w, http.StatusForbidden, "this caller may not")
	default:
		// Nothing behind the check needs the token, so nothing behind it can leak it.
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		g.next.ServeHTTP(w, r)
	}
}

func (g *guard) refuse(w http.ResponseWriter, code int, text string) {
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, text, code)
}

func (g *guard) review(ctx context.Context, token string, now time.Time) (string, error) {
	key := sha256.Sum256([]byte(token))
	g.mu.Lock()
	v, ok := g.verdicts[key]
	g.mu.Unlock()
	if ok && now.Sub(v.at) < verdictFresh {
		return v.user, nil
	}
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{g.audience}},
	}
	if err := g.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("reviewing a token: %w", err)
	}
	v = verdict{at: now}
	// An authenticator that ignores audiences returns none: then the token was not made for us.
	if review.Status.Authenticated && slices.Contains(review.Status.Audiences, g.audience) {
		v.user = review.Status.User.Username
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.verdicts) >= maxVerdicts {
		clear(g.verdicts)
	}
	g.verdicts[key] = v
	return v.user, nil
}
