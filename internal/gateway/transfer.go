// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// A transfer of a volume's content is written onto its App with the publisher's statement. The keeper checks that, the controller sees to it that
// a carrier is where the volume is, and says where; only then has the gateway the right to run it. The bytes go through the API server, as those of a pod's log do.

const (
	// appTransfers is how many transfers of an app may be under way.
	appTransfers = 2
	// transferStart is how long a transfer may wait for its carrier: as long as an image takes to come and a pod to start.
	transferStart = 90 * time.Second
	// transferFresh is how old a statement that begins one may be.
	transferFresh = 5 * time.Minute
	// lookForCarrier is how often to look whether it is there; rightsTime how long the right to run it may come after it.
	lookForCarrier = 250 * time.Millisecond
	rightsTime     = 10 * time.Second
	// forgetTime is for taking a transfer off its App.
	forgetTime = 10 * time.Second

	carrierProgram = "/usr/local/bin/carrier"
	// transferOwner is this package as who writes transfers: what it is called as who writes orders says when those were.
	transferOwner = "apocryph-gateway-transfers"
)

// carriers runs a program in a container and waits for its end.
type carriers interface {
	Run(ctx context.Context, in carrierAt, s carrierStreams) error
}

// carrierAt is what is run, and where.
type carrierAt struct {
	Namespace, Pod, Container string
	Command                   []string
}

type carrierStreams struct {
	In       io.Reader
	Out, Err io.Writer
}

// ClusterCarriers runs carriers by way of the API server.
type ClusterCarriers struct {
	Config *rest.Config
	Client kubernetes.Interface
}

// Run implements carriers.
func (c ClusterCarriers) Run(ctx context.Context, in carrierAt, s carrierStreams) error {
	r := c.Client.CoreV1().RESTClient().Post().Namespace(in.Namespace).Resource("pods").Name(in.Pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: in.Container, Command: in.Command, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	// Not by WebSocket: its pongs queue behind the data, and a slow reader would be taken for one that is gone.
	e, err := remotecommand.NewSPDYExecutor(c.Config, "POST", r.URL())
	if err != nil {
		return fmt.Errorf("making the way to a carrier: %w", err)
	}
	return e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: s.In, Stdout: s.Out, Stderr: s.Err})
}

// transfer is one that is under way.
type transfer struct {
	stream
	statement delegation.Statement
	verb      string
}

func (t *transfer) annotation() string { return v1alpha1.AnnotationTransfer + t.statement.Volume }

// beginTransfer checks what is asked for and writes it onto the App. Whoever begins a transfer ends it.
func (g *Gateway) beginTransfer(ctx context.Context, signed *orderv1.SignedStatement, action orderv1.Action) (*transfer, error) {
	c, err := g.allowed(ctx, orderv1.Operation_OPERATION_APPLY)
	if err != nil {
		return nil, err
	}
	st, err := g.verifyStatement(c, signed, action)
	if err != nil {
		return nil, err
	}
	app, err := g.own(ctx, c, st.App)
	if err != nil {
		return nil, err
	}
	if err := checkTransfer(app, st, g.parts.Now()); err != nil {
		return nil, err
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	t := &transfer{stream{g, c, st.App, orderv1.Operation_OPERATION_APPLY}, st, "get"}
	if action == orderv1.Action_ACTION_PUT_VOLUME {
		t.verb = "put"
	}
	if err := g.takeTransfer(app.Name, st.Volume); err != nil {
		return nil, err
	}
	if err := t.annotate(ctx, app, base64.StdEncoding.EncodeToString(encoded)); err != nil {
		t.end(ctx)
		return nil, err
	}
	g.parts.Log.InfoContext(ctx, "transfer begins", "app", app.Name, "volume", st.Volume, "verb", t.verb, "sequence", st.Sequence)
	return t, nil
}

// checkTransfer: the statement is of now and of the channel that pays, and there is such a volume.
func checkTransfer(app *v1alpha1.App, st delegation.Statement, now time.Time) error {
	switch age := now.Sub(st.IssuedAt); {
	case ending(app):
		return refuse(providerv1.Reason_REASON_APP_ENDED, "app %s has ended, and its volumes with it", st.App)
	case age > transferFresh || age < -transferFresh:
		err := refuse(providerv1.Reason_REASON_STATEMENT_STALE, "the statement was signed %s ago", age.Round(time.Second))
		return fault.Hint(err, "check this machine's clock")
	case channel.ID(st.Channel).String() != app.Spec.Channel:
		return refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "the app is paid by channel %s", app.Spec.Channel)
	case !slices.ContainsFunc(app.Status.Volumes, func(v v1alpha1.VolumeStatus) bool { return v.Name == st.Volume }):
		err := refuse(providerv1.Reason_REASON_VOLUME_NOT_FOUND, "the app has no volume %.80q", st.Volume)
		return fault.Hint(err, "see its volumes with: apocryph volume ls")
	}
	return nil
}

// takeTransfer keeps two transfers from being at one volume, and many at one app.
func (g *Gateway) takeTransfer(app, volume string) error {
	g.transferring.Lock()
	defer g.transferring.Unlock()
	have := g.transfers[app]
	switch {
	case slices.Contains(have, volume):
		return refuse(providerv1.Reason_REASON_VOLUME_UNAVAILABLE, "volume %s: its content is being moved already", volume)
	case len(have) >= appTransfers:
		return refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "the content of %d of the app's volumes is being moved already", len(have))
	}
	g.transfers[app] = append(have, volume)
	return nil
}

func (g *Gateway) leaveTransfer(app, volume string) {
	g.transferring.Lock()
	defer g.transferring.Unlock()
	g.transfers[app] = slices.DeleteFunc(g.transfers[app], func(v string) bool { return v == volume })
	if len(g.transfers[app]) == 0 {
		delete(g.transfers, app)
	}
}

func (t *transfer) annotate(ctx context.Context, app *v1alpha1.App, statement string) error {
	patch := client.MergeFrom(app.DeepCopy())
	if statement == "" {
		delete(app.Annotations, t.annotation())
	} else {
		if app.Annotations == nil {
			app.Annotations = map[string]string{}
		}
		app.Annotations[t.annotation()] = statement
	}
	if err := t.g.parts.Cluster.Patch(ctx, app, patch, client.FieldOwner(transferOwner)); err != nil {
		return fmt.Errorf("writing a transfer onto app %s: %w", app.Name, err)
	}
	return nil
}

// end takes the transfer off its App, whether its caller is still there or not. What is left behind by a gateway that was killed is taken off by
// the next one.
func (t *transfer) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTime)
	defer cancel()
	defer t.g.leaveTransfer(t.app.String(), t.statement.Volume)
	var app v1alpha1.App
	err := t.g.parts.Cluster.Get(ctx, t.g.key(t.app), &app)
	if err == nil {
		err = t.annotate(ctx, &app, "")
	}
	if client.IgnoreNotFound(err) != nil {
		t.g.parts.Log.WarnContext(ctx, "transfer not forgotten", "app", t.app, "volume", t.statement.Volume, "error", err)
	}
}

// ForgetTransfers takes off Apps what a gateway that was killed in the middle of them left there. It has to be called before this one serves.
func (g *Gateway) ForgetTransfers(ctx context.Context) error {
	var list v1alpha1.AppList
	if err := g.parts.Cluster.List(ctx, &list, client.InNamespace(g.cfg.Namespace)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	for i := range list.Items {
		app := &list.Items[i]
		patch, had := client.MergeFrom(app.DeepCopy()), len(app.Annotations)
		for key := range app.Annotations {
			if strings.HasPrefix(key, v1alpha1.AnnotationTransfer) {
				delete(app.Annotations, key)
			}
		}
		if len(app.Annotations) == had {
			continue
		}
		if err := g.parts.Cluster.Patch(ctx, app, patch, client.FieldOwner(transferOwner)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("forgetting transfers of app %s: %w", app.Name, err)
		}
	}
	return nil
}

// carrier waits until the transfer's is there.
func (t *transfer) carrier(ctx context.Context) (carrierAt, error) {
	look, late := time.NewTicker(lookForCarrier), time.NewTimer(transferStart)
	defer look.Stop()
	defer late.Stop()
	for {
		app, err := t.g.own(ctx, t.caller, t.app)
		if err != nil {
			return carrierAt{}, err
		}
		at, err := t.seek(app)
		if err != nil || at.Pod != "" {
			return at, err
		}
		select {
		case <-ctx.Done():
			return carrierAt{}, ctx.Err()
		case <-late.C:
			err := refuse(providerv1.Reason_REASON_VOLUME_UNAVAILABLE, "volume %s could not be reached within %s: what has it starts or ends", t.statement.Volume, transferStart)
			return carrierAt{}, fault.Hint(err, "see what blocks it with: apocryph status")
		case <-look.C:
		}
	}
}

// seek reads off an App where the transfer's carrier is, if it is there yet, or why there will be none.
func (t *transfer) seek(app *v1alpha1.App) (carrierAt, error) {
	if ending(app) {
		return carrierAt{}, refuse(providerv1.Reason_REASON_APP_ENDED, "app %s ended meanwhile, and its volumes with it", t.app)
	}
	volume := t.statement.Volume
	for _, v := range app.Status.Transfers {
		if v.Volume == volume && v.Sequence == int64(t.statement.Sequence) && v.Refused != "" {
			return carrierAt{}, refuse(providerv1.Reason_REASON_STATEMENT_INVALID, "the enclave refuses the statement: %s", v.Refused)
		}
	}
	for _, c := range app.Status.Carriers {
		switch {
		case c.Volume != volume || c.Sequence != int64(t.statement.Sequence):
		case c.Problem != "":
			return carrierAt{}, refuse(providerv1.Reason_REASON_VOLUME_UNAVAILABLE, "volume %s: %s", volume, c.Problem)
		case c.Pod != "":
			return carrierAt{v1alpha1.Namespace(app.Name), c.Pod, c.Container, []string{carrierProgram, t.verb, c.Path}}, nil
		}
	}
	return carrierAt{}, nil
}

// run runs the transfer's carrier. The right to do so comes with it, but a moment later.
func (t *transfer) run(ctx context.Context, in carrierAt, s carrierStreams) error {
	for late := time.After(rightsTime); ; {
		err := t.g.parts.Carriers.Run(ctx, in, s)
		if !kerrors.IsForbidden(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return err
		case <-time.After(lookForCarrier):
		}
	}
}
