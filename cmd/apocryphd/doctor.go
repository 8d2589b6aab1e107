// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/ethereum/go-ethereum/common"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/doctor"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/span"
	"github.com/apocryph/apocryph/internal/tee/snp"
)

// keeperPatience bounds a call to the keeper.
const keeperPatience = 15 * time.Second

// doctorCmd configures what the doctor takes for healthy. In the chart's pod all of it comes from the environment, so that a run on demand
// there needs no flag.
type doctorCmd struct {
	ChainFlags

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where the Provider lives." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health, with --continuous." default:":9090"`

	Only       []string `help:"Checks to make; all without it."`
	Machine    []string `help:"Machines to look at, also those that no app is put on; without it, it is the turn of those not looked at for longest."`
	JSON       bool     `name:"json" help:"Write JSON instead of a table."`
	Quiet      bool     `help:"Do not write into the Provider what was seen, so that nothing follows from this run."`
	Continuous bool     `help:"Look again and again instead of once, and write no table."`

	Every      time.Duration `help:"Time between looks at what only has to be asked." default:"1m"`
	ProbeEvery time.Duration `help:"Time between looks that take pods." default:"30m"`
	Retry      time.Duration `help:"Time to the next look that takes pods while one of those checks is not well." default:"2m"`
	Limit      time.Duration `help:"How long one look may take." default:"4m"`
	AtOnce     int           `help:"How many machines take probes in one look." default:"8"`

	// Probes has no other use: pods there reach only each other and cluster DNS.
	Probes     string `help:"Namespace of probe pods." default:"apocryph-system-doctor"`
	Image      string `help:"The provider's image, which probe pods run." required:""`
	PullPolicy string `help:"Pull policy of probe pods." enum:"Always,IfNotPresent,Never" default:"IfNotPresent"`

	// As the controller is told.
	ImagePrefix    string `help:"Where kubelet pulls tenants' images from." default:"localhost:5100"`
	StorageClass   string `help:"Storage class of volumes; empty is the cluster's default."`
	AccessMode     string `help:"Access mode of volumes; empty is ReadWriteOncePod." enum:",ReadWriteOnce,ReadWriteOncePod,ReadWriteMany" default:""`
	UserNamespaces bool   `help:"Tenants' pods run in user namespaces." default:"true" negatable:""`

	EgressPriced bool `help:"What leaves the cluster has a price, so that every machine needs a counter."`

	VolumeBytes int64 `help:"Size of the volume to try, in bytes: the storage class's least." default:"16777216"`
	MaxPIDs     int   `name:"max-pids" help:"Most processes that a pod should be able to have." default:"4096"`

	Provider     common.Address `help:"The provider's Ethereum address, which evidence has to name." required:""`
	RPC          []string       `name:"rpc" help:"URL of a JSON-RPC endpoint of the chain; several times, or with commas." required:""`
	MaxLag       uint64         `help:"Blocks that an endpoint may be behind the others." default:"5"`
	MaxDrift     time.Duration  `help:"How far the chain's newest block may be from this clock; 0 only warns." default:"0s"`
	ClaimGas     uint64         `help:"Gas that one claim takes." default:"120000"`
	LeastClaims  uint64         `help:"Claims that the gas account must be able to pay for." default:"10"`
	EnoughClaims uint64         `help:"Claims that it should be able to pay for." default:"500"`

	Keeper      string `help:"URL of the keeper." default:"http://keeper:7100"`
	KeeperToken string `help:"File with the token for the keeper." default:"/var/run/secrets/apocryph/keeper/token" type:"path"`

	Advisory []string `help:"Checks that withdraw no quotes when they fail."`
}

// exitError carries the exit code of a run.
type exitError struct {
	error

	code int
}

func (e exitError) ExitCode() int { return e.code }
func (e exitError) Unwrap() error { return e.error }

const (
	exitFails  = 1
	exitUnseen = 2
)

// Run looks once and prints, or until ctx ends.
func (c *doctorCmd) Run(ctx context.Context, log *slog.Logger) error {
	d, err := c.doctor(log)
	if err != nil {
		return exitError{err, exitUnseen}
	}
	if !c.Continuous {
		return c.once(ctx, d)
	}
	rhythm := doctor.Rhythm{Every: c.Every, ProbeEvery: c.ProbeEvery, Retry: c.Retry}

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, d.Metrics()),
		daemon.Task{Name: "doctor", Run: func(ctx context.Context) error { return d.Run(ctx, rhythm) }})
}

func (c *doctorCmd) once(ctx context.Context, d *doctor.Doctor) error {
	found, err := d.Examine(ctx, doctor.Look{Checks: c.Only, Machines: c.Machine})
	if err != nil {
		return exitError{err, exitUnseen}
	}
	show := doctor.Table
	if c.JSON {
		show = doctor.JSON
	}
	if err := show(os.Stdout, found); err != nil {
		return exitError{err, exitUnseen}
	}
	if !c.Quiet {
		if err := d.Tell(ctx, found); err != nil {
			return exitError{err, exitUnseen}
		}
	}
	switch err := doctor.Sum(found); {
	case errors.Is(err, doctor.ErrUnfit):
		return exitError{fault.Hint(err, "the table says what to do"), exitFails}
	case err != nil:
		return exitError{fault.Hint(err, "the table says what was in the way"), exitUnseen}
	}
	return nil
}

func (c *doctorCmd) doctor(log *slog.Logger) (*doctor.Doctor, error) {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the Kubernetes client: %w", err)
	}
	serverTime, err := kube.ServerTime(config)
	if err != nil {
		return nil, err
	}
	keeper := keeperv1connect.NewKeeperServiceClient(
		&http.Client{Transport: kube.BearerTransport(c.KeeperToken, nil), Timeout: keeperPatience}, c.Keeper)
	return doctor.New(c.config(), doctor.Parts{
		Cluster: cluster, ServerTime: serverTime, Chain: inspector{c.Channels}, Keeper: keeper, Hardware: snp.Verifier{},
		Lock: doctor.Lease{Client: clientset, Namespace: c.Probes, Patience: c.Limit + time.Minute},
		Now:  time.Now, Wait: span.Wait, Log: log,
	})
}

func (c *doctorCmd) config() doctor.Config {
	return doctor.Config{
		Namespace: c.Namespace, Probes: c.Probes, Image: c.Image, PullPolicy: corev1.PullPolicy(c.PullPolicy),
		ImagePrefix: c.ImagePrefix, StorageClass: c.StorageClass, AccessMode: corev1.PersistentVolumeAccessMode(c.AccessMode),
		UserNamespaces: c.UserNamespaces, EgressPriced: c.EgressPriced, VolumeBytes: c.VolumeBytes, MaxPIDs: c.MaxPIDs,
		Provider: c.Provider, Domain: c.domain(), RPC: c.RPC, MaxLag: c.MaxLag, MaxDrift: c.MaxDrift,
		ClaimGas: c.ClaimGas, LeastClaims: c.LeastClaims, EnoughClaims: c.EnoughClaims,
		Advisory: c.Advisory, Limit: c.Limit, AtOnce: c.AtOnce,
	}
}

// inspector asks endpoints for the doctor.
type inspector struct{ contract common.Address }

// askTime bounds a question to one endpoint.
const askTime = 15 * time.Second

// Node asks an endpoint about itself.
func (i inspector) Node(ctx context.Context, url string) (doctor.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	n, err := evm.Inspect(ctx, url, i.contract)
	return doctor.Node{ChainID: n.ChainID, Contract: n.Contract, Number: n.Head.Number, Time: n.Head.Time, Fee: n.Fee}, err
}

// HashAt asks an endpoint for a block's hash.
func (i inspector) HashAt(ctx context.Context, url string, number uint64) (common.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return evm.InspectHash(ctx, url, number)
}

// Balance asks an endpoint for an account's coins.
func (i inspector) Balance(ctx context.Context, url string, account common.Address) (*big.Int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return evm.InspectBalance(ctx, url, account)
}
