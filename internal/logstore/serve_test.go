// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
	"github.com/apocryph/apocryph/internal/gen/logstorev1/logstorev1connect"
	"github.com/apocryph/apocryph/internal/kube"
)

// call sends a request over a connection and returns the texts that came, and the error.
func (m *machine) call(ctx context.Context, q *logstorev1.ReadRequest) ([]string, error) {
	server := httptest.NewServer(m.s.Handler())
	defer server.Close()
	stream, err := logstorev1connect.NewLogstoreServiceClient(http.DefaultClient, server.URL).Read(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	var got []string
	for stream.Receive() {
		for _, l := range stream.Msg().Lines {
			got = append(got, string(l.Text))
		}
	}
	return got, stream.Err()
}

func TestTheAnswerHasWhatWasWrittenBefore(t *testing.T) {
	m := newMachine(t)
	m.scan()
	m.say(m.file(appID(1), podName, "web", 0), at(1, "just now"))
	m.now = m.now.Add(time.Millisecond)
	got, err := m.call(t.Context(), &logstorev1.ReadRequest{App: appID(1)})
	if err != nil || len(got) != 1 || got[0] != "just now" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	m := newMachine(t)
	for name, c := range map[string]struct {
		q    *logstorev1.ReadRequest
		want connect.Code
	}{
		"no app":                 {&logstorev1.ReadRequest{}, connect.CodeInvalidArgument},
		"a path for an app":      {&logstorev1.ReadRequest{App: "../" + appID(1)}, connect.CodeInvalidArgument},
		"a path for a service":   {&logstorev1.ReadRequest{App: appID(1), Service: "../" + appID(2) + "/web"}, connect.CodeInvalidArgument},
		"more than a request is": {&logstorev1.ReadRequest{App: appID(1), Resume: []*logstorev1.Place{{Machine: string(make([]byte, maxRequest))}}}, connect.CodeResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := m.call(t.Context(), c.q); connect.CodeOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestReadersAreBounded(t *testing.T) {
	m := newMachine(t)
	v := &server{m.s, make(chan struct{}, 1)}
	v.readers <- struct{}{}
	if err := v.Read(t.Context(), &logstorev1.ReadRequest{App: appID(1)}, nil); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("got %v", err)
	}
}

// What is kept goes when the App has positively ended for the whole grace, and at no other time.
func TestKeptUntilTheAppEnds(t *testing.T) {
	app := func(phase v1alpha1.Phase) client.Object {
		return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: appID(1)}, Status: v1alpha1.AppStatus{Phase: phase}}
	}
	unseen := errors.New("away")
	for name, c := range map[string]struct {
		objects []client.Object
		// errs are what the looks at the App meet.
		errs []error
		kept bool
	}{
		"an app that runs":                       {[]client.Object{app(v1alpha1.PhaseReady)}, []error{nil, nil}, true},
		"one that sleeps":                        {[]client.Object{app(v1alpha1.PhaseSuspended)}, []error{nil, nil}, true},
		"one that ends":                          {[]client.Object{app(v1alpha1.PhaseEnding)}, []error{nil, nil}, true},
		"one that has ended":                     {[]client.Object{app(v1alpha1.PhaseEnded)}, []error{nil, nil}, false},
		"one that is gone":                       {nil, []error{nil, nil}, false},
		"one that was gone once":                 {nil, []error{nil}, true},
		"one that can't be seen":                 {nil, []error{unseen, unseen}, true},
		"one that could not be seen in between":  {nil, []error{nil, unseen, nil}, true},
		"one that is gone for sure in the end":   {nil, []error{unseen, nil, nil}, false},
		"one that can't be seen and is there":    {[]client.Object{app(v1alpha1.PhaseReady)}, []error{unseen, nil}, true},
		"one that is gone, seen at the last try": {nil, []error{nil, nil, unseen}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.say(m.file(appID(1), podName, "web", 0), at(1, "one"))
			m.scan()
			var look error
			cluster := fake.NewClientBuilder().WithScheme(kube.Scheme()).WithObjects(c.objects...).WithInterceptorFuncs(interceptor.Funcs{
				Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
					if look != nil {
						return look
					}
					return w.Get(ctx, key, obj, opts...)
				},
			}).Build()
			cleaner := &Cleaner{Store: m.s, Gone: &kube.Gone{Apps: cluster, Namespace: "sys", Grace: time.Hour}, Log: slog.New(slog.DiscardHandler)}
			for i, err := range c.errs {
				look = err
				_ = cleaner.Sweep(t.Context(), m.now.Add(time.Duration(i)*time.Hour))
			}
			if kept := m.s.Bytes() > 0; kept != c.kept {
				t.Errorf("kept: %t, want %t", kept, c.kept)
			}
			if apps, err := m.s.Apps(); err != nil || (len(apps) == 1) != c.kept {
				t.Errorf("apps %v, %v", apps, err)
			}
		})
	}
}
