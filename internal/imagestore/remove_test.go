// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/imagestore"
	"github.com/apocryph/apocryph/internal/kube"
)

func TestCleaner(t *testing.T) {
	f := start(t)
	var running, ended, gone = appID(1), appID(2), appID(3)
	for _, app := range []string{running, ended, gone} {
		putBlob(t, f, app, []byte("blob of "+app))
	}
	object := func(app string, phase v1alpha1.Phase) client.Object {
		return &v1alpha1.App{
			ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: app},
			Status:     v1alpha1.AppStatus{Phase: phase},
		}
	}
	var unseen error
	apps := fake.NewClientBuilder().WithScheme(kube.Scheme()).
		WithObjects(object(running, v1alpha1.PhaseSuspended), object(ended, v1alpha1.PhaseEnded)).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if unseen != nil {
					return unseen
				}
				return c.Get(ctx, key, o, opts...)
			},
		}).Build()
	c := &imagestore.Cleaner{Store: f.store, Apps: apps, Namespace: "sys", Grace: time.Hour, Log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	left := func() []string {
		all, err := f.store.Apps()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return all
	}
	for _, step := range []struct {
		what   string
		after  time.Duration
		unseen error
		want   []string
	}{
		{"the first sight only starts the grace", 2 * time.Hour, nil, []string{running, ended, gone}},
		{"within the grace nothing goes", 30 * time.Minute, nil, []string{running, ended, gone}},
		{"what can't be seen is not gone", time.Hour, errors.New("unreachable"), []string{running, ended, gone}},
		{"and the grace starts again", time.Hour, nil, []string{running, ended, gone}},
		{"then the ended and the missing go", time.Hour, nil, []string{running}},
	} {
		now, unseen = now.Add(step.after), step.unseen
		if err := c.Sweep(t.Context(), now); !errors.Is(err, step.unseen) {
			t.Errorf("%s: %v", step.what, err)
		}
		if diff := cmp.Diff(step.want, left()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
	for app, want := range map[string]bool{running: true, ended: false, gone: false} {
		if got, err := c.Ordered(t.Context(), app); err != nil || got != want {
			t.Errorf("%s is ordered: %t, %v", app, got, err)
		}
	}
	unseen = errors.New("unreachable")
	if _, err := c.Ordered(t.Context(), running); !errors.Is(err, unseen) {
		t.Errorf("an app that can't be seen: %v", err)
	}
	if want := int64(len("blob of ") + len(running)); f.store.Bytes() != want {
		t.Errorf("%d bytes booked, want %d", f.store.Bytes(), want)
	}
}

func TestCleanerWithoutTheKind(t *testing.T) {
	f := start(t)
	putBlob(t, f, appID(1), []byte("blob"))
	missing := errors.New("no such kind")
	apps := fake.NewClientBuilder().WithScheme(kube.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return missing },
	}).Build()
	c := &imagestore.Cleaner{Store: f.store, Apps: apps, Namespace: "sys", Grace: time.Hour, Log: slog.New(slog.DiscardHandler)}
	for i := range 3 {
		if err := c.Sweep(t.Context(), time.Now().Add(time.Duration(i)*2*time.Hour)); !errors.Is(err, missing) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.Ordered(t.Context(), appID(1)); !errors.Is(err, missing) {
		t.Errorf("it says whether an app was ordered: %v", err)
	}
	if f.store.Bytes() == 0 {
		t.Error("the images are gone")
	}
}

func TestUploadsExpire(t *testing.T) {
	f := start(t)
	_, _, h := request(t, http.MethodPost, repo(f.push, appID(1))+"/blobs/uploads/", nil)
	at := f.push.URL + h.Get("Location")
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 204}, {2 * time.Hour, 404}} {
		if err := f.store.ExpireUploads(t.Context(), time.Now().Add(step.after)); err != nil {
			t.Fatal(err)
		}
		if status, _, _ := request(t, http.MethodGet, at, nil); status != step.want {
			t.Errorf("after %s: %d, want %d", step.after, status, step.want)
		}
	}
}
