// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

func TestApplyStatusTouchesOnlyTheOwnersFields(t *testing.T) {
	ctx := t.Context()
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "a"}, Spec: v1alpha1.AppSpec{Name: "web"}}
	c := fake.NewClientBuilder().WithScheme(kube.Scheme()).WithObjects(app).WithStatusSubresource(app).
		WithReturnManagedFields().Build()
	apply := func(owner string, status v1alpha1.AppStatus) {
		t.Helper()
		named := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "a"}, Status: status}
		if err := kube.ApplyStatus(ctx, c, named, owner); err != nil {
			t.Fatal(err)
		}
	}
	// The fake client knows no map lists, so conditions, which several services share, are left to the end-to-end tests.
	funds := &v1alpha1.Funds{Deposited: "5", Claimed: "0", SeenAt: metav1.Unix(1, 0)}
	apply("invoicer", v1alpha1.AppStatus{Funds: funds})
	apply("controller", v1alpha1.AppStatus{Phase: v1alpha1.PhaseReady, URL: "http://x"})
	apply("controller", v1alpha1.AppStatus{Phase: v1alpha1.PhaseEnding})

	var got v1alpha1.App
	if err := c.Get(ctx, client.ObjectKeyFromObject(app), &got); err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.AppStatus{Phase: v1alpha1.PhaseEnding, Funds: funds}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got.Spec.Name != "web" {
		t.Errorf("the spec's name became %q", got.Spec.Name)
	}
}

func TestApplyStatusWithoutOne(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(kube.Scheme()).Build()
	err := kube.ApplyStatus(t.Context(), c, &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, "x")
	if !errors.Is(err, kube.ErrNoStatus) {
		t.Errorf("error is %v, want ErrNoStatus", err)
	}
}

func TestBearerTransportReadsARotatedToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// In memory, because synctest's clock stands still while a goroutine waits for the network.
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		hc := &http.Client{Transport: kube.BearerTransport(file, roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Get("Authorization"))
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}))}
		get := func() {
			res, err := hc.Get("http://x")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		write("one\n")
		get()
		write("two")
		get()
		time.Sleep(2 * time.Minute)
		get()
		if diff := cmp.Diff([]string{"Bearer one", "Bearer one", "Bearer two"}, seen); diff != "" {
			t.Errorf("tokens sent (-want +got):\n%s", diff)
		}
	})
}

func TestBearerTransportWithoutAToken(t *testing.T) {
	hc := &http.Client{Transport: kube.BearerTransport(filepath.Join(t.TempDir(), "none"), nil)}
	res, err := hc.Get("http://127.0.0.1:1")
	if err == nil {
		_ = res.Body.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want that the file is missing", err)
	}
}

func TestRequireToken(t *testing.T) {
	gateway := "system:serviceaccount:sys:gateway"
	cases := map[string]struct {
		header string
		status authenticationv1.TokenReviewStatus
		err    error
		want   int
	}{
		"the right caller passes": {"Bearer t", reviewed(gateway, "keeper"), nil, http.StatusOK},
		"no token":                {"", authenticationv1.TokenReviewStatus{}, nil, http.StatusUnauthorized},
		"another scheme":          {"Basic t", reviewed(gateway, "keeper"), nil, http.StatusUnauthorized},
		"a bad token":             {"Bearer t", authenticationv1.TokenReviewStatus{}, nil, http.StatusUnauthorized},
		"another audience":        {"Bearer t", reviewed(gateway, "api"), nil, http.StatusUnauthorized},
		"no audience":             {"Bearer t", reviewed(gateway), nil, http.StatusUnauthorized},
		"another caller":          {"Bearer t", reviewed("system:serviceaccount:sys:meter", "keeper"), nil, http.StatusForbidden},
		"the API server is away":  {"Bearer t", authenticationv1.TokenReviewStatus{}, errors.New("away"), http.StatusServiceUnavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var asked authenticationv1.TokenReviewSpec
			h := kube.RequireToken(reviewer(c.status, c.err, &asked), "keeper", []string{gateway}, passed())
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", c.header)
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("answered %d (%s), want %d", w.Code, w.Body, c.want)
			}
			if asked.Token != "" {
				if diff := cmp.Diff(authenticationv1.TokenReviewSpec{Token: "t", Audiences: []string{"keeper"}}, asked); diff != "" {
					t.Errorf("review (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRequireTokenForgetsItsVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := kube.RequireToken(counting(&asked), "keeper", []string{"u"}, passed())
		get := func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer t")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		get()
		get()
		if asked != 1 {
			t.Errorf("asked %d times within a second, want once", asked)
		}
		time.Sleep(time.Minute)
		get()
		if asked != 2 {
			t.Errorf("asked %d times after a minute, want twice", asked)
		}
	})
}

func reviewed(user string, audiences ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: user}, Audiences: audiences}
}

func reviewer(status authenticationv1.TokenReviewStatus, err error, asked *authenticationv1.TokenReviewSpec) client.Client {
	return fake.NewClientBuilder().WithScheme(kube.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, obj client.Object, _ ...client.CreateOption) error {
			review := obj.(*authenticationv1.TokenReview)
			*asked = review.Spec
			review.Status = status
			return err
		},
	}).Build()
}

func counting(asked *int) client.Client {
	return fake.NewClientBuilder().WithScheme(kube.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, obj client.Object, _ ...client.CreateOption) error {
			*asked++
			obj.(*authenticationv1.TokenReview).Status = reviewed("u", "keeper")
			return nil
		},
	}).Build()
}

func passed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "the token went on", http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBellRingsForItsNamespacesOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := fake.NewClientBuilder().WithScheme(kube.Scheme()).Build()
	rings := make(chan string, 10)
	watching := make(chan struct{}, 10)
	watched := interceptor.NewClient(c, interceptor.Funcs{
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
			w, err := c.Watch(ctx, list, opts...)
			watching <- struct{}{}
			return w, err
		},
	})
	bell := kube.NewBell(watched, func(ns string) { rings <- ns }, &corev1.PodList{})
	done := make(chan error)
	go func() { done <- bell.Run(ctx) }()
	bell.Listen(ctx, "a")
	bell.Listen(ctx, "a")
	<-watching
	for _, ns := range []string{"b", "a"} {
		if err := c.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-rings; got != "a" {
		t.Errorf("rang for %s, want a", got)
	}
	bell.Forget(ctx, "a")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(rings) != 0 || len(watching) != 0 {
		t.Errorf("%d more rings and %d more watches, want none", len(rings), len(watching))
	}
}
