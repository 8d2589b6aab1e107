// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/gateway"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/traffic"
	"github.com/apocryph/apocryph/internal/usage"
)

// keeperWait is how long the gateway waits between asking a keeper that is not up yet for its keys.
const keeperWait = time.Second

// gatewayCmd configures the gateway. Its peer key comes from the keeper, so that evidence names it.
type gatewayCmd struct {
	ChainFlags
	EndpointFlags
	OfferFlags

	// Listen are multiaddrs without a peer id.
	Listen []string `help:"Where to listen for publishers, as multiaddrs." default:"/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/udp/4001/quic-v1"`

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// Token files are projected service-account tokens of the audience of the service that is called.
	Pod    string `help:"Name of the pod that this runs in; without it nobody pays for what it sends."`
	PodUID string `name:"pod-uid" help:"UID of that pod."`

	Keeper          string `help:"URL of the keeper." default:"http://keeper:7100"`
	KeeperToken     string `help:"File with the token for the keeper." default:"/var/run/secrets/apocryph/keeper/token" type:"path"`
	Imagestore      string `help:"URL of the image store's push endpoint." default:"http://imagestore:7200"`
	ImagestoreToken string `help:"File with the token for the image store." default:"/var/run/secrets/apocryph/imagestore/token" type:"path"`
	Logstore        string `help:"URL of the log stores; its host stands for all of them." default:"http://logstore:7300"`
	LogstoreToken   string `help:"File with the token for the log stores." default:"/var/run/secrets/apocryph/logstore/token" type:"path"`

	Window    time.Duration `help:"How much unused cap can be claimed at once." default:"24h"`
	Notice    time.Duration `help:"Notice that publishers give." default:"24h"`
	QuoteLife time.Duration `help:"How long a quote is good for." default:"10m"`
	Domain    string        `help:"Domain below which apps get their hosts." required:""`

	// Most that one app may reserve; 0 means no limit beside the machines'.
	MaxMilliCPU       int64 `name:"max-milli-cpu" help:"Most thousandths of a vCPU of one app." default:"0"`
	MaxMemoryBytes    int64 `help:"Most memory of one app." default:"0"`
	MaxEphemeralBytes int64 `help:"Most ephemeral storage of one app." default:"0"`
	MaxStorageBytes   int64 `help:"Most volume storage of one app." default:"0"`
}

// Run serves until ctx ends.
func (c *gatewayCmd) Run(ctx context.Context, log *slog.Logger) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the Kubernetes client: %w", err)
	}
	chain, err := evm.Dial(ctx, c.RPC, c.EndpointFlags.config(c.ChainFlags))
	if err != nil {
		return err
	}
	defer chain.Close()
	imagesURL, err := url.Parse(c.Imagestore)
	if err != nil {
		return fmt.Errorf("image store: %w", err)
	}
	logsURL, err := url.Parse(c.Logstore)
	if err != nil {
		return fmt.Errorf("log stores: %w", err)
	}
	keeper := keeperv1connect.NewKeeperServiceClient(&http.Client{Transport: kube.BearerTransport(c.KeeperToken, nil)}, c.Keeper)
	keys, err := peerKey(ctx, log, keeper)
	if err != nil {
		return err
	}
	key, err := p2p.ParseKey(keys.PrivateKey)
	if err != nil {
		return fmt.Errorf("the keeper's peer key: %w", err)
	}
	reporter := traffic.New(cluster, traffic.Pod{Namespace: c.Namespace, Name: c.Pod, UID: types.UID(c.PodUID)}, log)
	g, err := gateway.New(c.config(key.Peer(), common.BytesToAddress(keys.Signer)), gateway.Parts{
		Cluster: cluster, Pods: gateway.ClusterLogs{Client: clientset}, Carriers: gateway.ClusterCarriers{Config: config, Client: clientset}, Keeper: keeper, Chain: channels{chain},
		LogStores: logStores(logsURL, c.LogstoreToken),
		Images:    kube.BearerTransport(c.ImagestoreToken, nil), ImagesURL: imagesURL,
		Sent: reporter, Peer: p2p.Peer, CheckPeer: p2p.CheckPeer, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	host, err := p2p.NewHost(p2p.Config{Key: key, Listen: c.Listen})
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	log.Info("listening", "peer", host.ID(), "addresses", host.Addrs())

	if err := g.ForgetTransfers(ctx); err != nil {
		return err
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(g)

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
		daemon.Task{Name: "traffic", Run: reporter.Run},
		daemon.Task{Name: "gateway", Run: func(ctx context.Context) error { return host.Serve(ctx, g.Handler()) }})
}

func logStores(at *url.URL, token string) gateway.LogStores {
	return gateway.LogStores{
		Scheme: at.Scheme, Host: at.Hostname(), Port: at.Port(), Client: &http.Client{Transport: kube.BearerTransport(token, nil)},
	}
}

func (c *gatewayCmd) config(peer string, signer common.Address) gateway.Config {
	return gateway.Config{
		Namespace:  c.Namespace,
		Provider:   delegation.Provider{Address: c.Provider, Peer: peer},
		Signer:     signer,
		Domain:     c.domain(),
		Payout:     c.Payout,
		Tariff:     c.tariff(),
		Window:     c.Window,
		Notice:     c.Notice,
		QuoteLife:  c.QuoteLife,
		HostDomain: c.Domain,
		PerApp: usage.Rate{
			MilliCPU: c.MaxMilliCPU, MemoryBytes: c.MaxMemoryBytes, EphemeralBytes: c.MaxEphemeralBytes, StorageBytes: c.MaxStorageBytes,
		},
	}
}

// peerKey asks the keeper until it answers: services start in any order.
func peerKey(ctx context.Context, log *slog.Logger, keeper keeperv1connect.KeeperServiceClient) (*keeperv1.PeerKeyResponse, error) {
	for {
		keys, err := keeper.PeerKey(ctx, &keeperv1.PeerKeyRequest{})
		if err == nil {
			return keys, nil
		}
		log.Warn("keeper does not answer", "error", err)
		select {
		case <-ctx.Done():
			return nil, fault.Hint(errors.Join(ctx.Err(), err), "see that the keeper runs and accepts this service account")
		case <-time.After(keeperWait):
		}
	}
}

// channels reads the chain for the gateway.
type channels struct{ chain *evm.Client }

func (c channels) Channel(ctx context.Context, id channel.ID) (channel.State, time.Time, error) {
	v, err := c.chain.Look(ctx, id)
	if v.Latest.Block.Number != 0 {
		err = nil // only what is final is in doubt, and nothing here is
	}
	s := v.Cautious()
	return s.State, s.Block.Time, err
}
