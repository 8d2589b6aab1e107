// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/evidence"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
)

// shared is how many blocks below the lowest head endpoints are compared: the newest may still be replaced.
const shared = 4

// answer is what one endpoint said.
type answer struct {
	url, name string
	node      Node
	err       error
}

// askAll asks every endpoint at the same time.
func (d *Doctor) askAll(ctx context.Context) []answer {
	answers := make([]answer, len(d.cfg.RPC))
	var all sync.WaitGroup
	for i, u := range d.cfg.RPC {
		all.Go(func() {
			a := answer{url: u, name: endpointName(u)}
			a.err = d.insist(ctx, func() (err error) {
				a.node, err = d.parts.Chain.Node(ctx, u)
				return err
			})
			answers[i] = a
		})
	}
	all.Wait()
	return answers
}

// How often, and after what pause, one who does not answer is asked.
const (
	asks     = 4
	askAgain = 3 * time.Second
)

// insist asks again before it gives up: the rules that let a new pod out, the doctor's own too, run behind the pod.
func (d *Doctor) insist(ctx context.Context, ask func() error) error {
	for n := 1; ; n++ {
		err := ask()
		if err == nil || n == asks || d.parts.Wait(ctx, askAgain) != nil {
			return err
		}
	}
}

// endpointName leaves out what may be a secret: user, password, and the path, in which many operators put the customer's key.
func endpointName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "an endpoint"
	}
	return u.Host
}

// said is an error's text without the secrets of the endpoint's URL.
func (a answer) said() string { return strings.ReplaceAll(a.err.Error(), a.url, a.name) }

// any returns an endpoint that answers and is of the right chain.
func (l *looker) any(ctx context.Context) (answer, error) {
	var why []string
	for _, a := range l.nodes(ctx) {
		switch {
		case a.err != nil:
			why = append(why, a.name+": "+a.said())
		case a.node.ChainID != l.cfg.Domain.ChainID:
			why = append(why, fmt.Sprintf("%s is of chain %d", a.name, a.node.ChainID))
		default:
			return a, nil
		}
	}
	return answer{}, fmt.Errorf("no endpoint of chain %d answers: %s", l.cfg.Domain.ChainID, strings.Join(why, "; "))
}

type endpointFacts struct {
	chainID, maxLag uint64
	answers         []answer
	// common is the block whose hash was asked for; hashes are the answers', zero where there was none.
	common uint64
	hashes []common.Hash
}

func (l *looker) endpoints(ctx context.Context) (endpointFacts, error) {
	f := endpointFacts{chainID: l.cfg.Domain.ChainID, maxLag: l.cfg.MaxLag, answers: l.nodes(ctx)}
	if _, err := l.any(ctx); err != nil && !f.answered() {
		return f, err
	}
	f.hashes = make([]common.Hash, len(f.answers))
	f.common = lowest(f.answers, f.chainID)
	var all sync.WaitGroup
	for i, a := range f.answers {
		if a.err != nil {
			continue
		}
		all.Go(func() {
			// One that can't say is left out of the comparison; what it has to say about itself counts all the same.
			f.hashes[i], _ = l.parts.Chain.HashAt(ctx, a.url, f.common)
		})
	}
	all.Wait()
	return f, nil
}

func (f endpointFacts) answered() bool {
	for _, a := range f.answers {
		if a.err == nil {
			return true
		}
	}
	return false
}

// lowest is a block that every endpoint of the chain should have.
func lowest(answers []answer, chainID uint64) uint64 {
	var least uint64
	first := true
	for _, a := range answers {
		if a.err == nil && a.node.ChainID == chainID && (first || a.node.Number < least) {
			least, first = a.node.Number, false
		}
	}
	return least - min(least, shared)
}

// judgeEndpoints: an endpoint that lies is a failure, one that is away or behind a warning, because reads go to the others meanwhile.
func judgeEndpoints(f endpointFacts) Verdict {
	var bad, weak []string
	var highest uint64
	good := 0
	hashes := map[common.Hash]string{}
	for i, a := range f.answers {
		switch {
		case a.err != nil:
			weak = append(weak, a.name+" does not answer: "+a.said())
			continue
		case a.node.ChainID != f.chainID:
			bad = append(bad, fmt.Sprintf("%s is of chain %d, not %d", a.name, a.node.ChainID, f.chainID))
			continue
		case !a.node.Contract:
			bad = append(bad, a.name+" does not have the contract")
			continue
		}
		good++
		highest = max(highest, a.node.Number)
		if f.hashes[i] != (common.Hash{}) {
			hashes[f.hashes[i]] = a.name
		}
	}
	if len(hashes) > 1 {
		bad = append(bad, fmt.Sprintf("%d different blocks %d", len(hashes), f.common))
	}
	for _, a := range f.answers {
		if behind := highest - min(highest, a.node.Number); a.err == nil && a.node.ChainID == f.chainID && behind > f.maxLag {
			weak = append(weak, fmt.Sprintf("%s is %d blocks behind", a.name, behind))
		}
	}
	switch {
	case len(bad) > 0:
		return Verdict{Fail, strings.Join(append(bad, weak...), "; ")}
	case len(weak) > 0:
		return Verdict{Warn, strings.Join(weak, "; ")}
	case good == 1:
		return verdict(Warn, "%s is of chain %d and has the contract; there is no other to compare it with", f.answers[0].name, f.chainID)
	}
	return verdict(OK, "%d endpoints of chain %d agree on block %d", good, f.chainID, f.common)
}

func (l *looker) gas(ctx context.Context) (gasFacts, error) {
	f := gasFacts{claimGas: l.cfg.ClaimGas, least: l.cfg.LeastClaims, enough: l.cfg.EnoughClaims}
	p, err := l.provider(ctx)
	if err != nil {
		return f, err
	}
	if !common.IsHexAddress(p.Status.GasAccount) {
		return f, errors.New("the invoicer has not said which account pays for gas")
	}
	f.account = common.HexToAddress(p.Status.GasAccount)
	a, err := l.any(ctx)
	if err != nil {
		return f, err
	}
	f.fee = a.node.Fee
	if f.balance, err = l.parts.Chain.Balance(ctx, a.url, f.account); err != nil {
		a.err = err
		return f, fmt.Errorf("asking %s for the balance: %s", a.name, a.said())
	}
	return f, nil
}

func (l *looker) clock(ctx context.Context) (clockFacts, error) {
	f := clockFacts{maxDrift: l.cfg.MaxDrift}
	before := l.parts.Now()
	server, err := l.parts.ServerTime(ctx)
	if err != nil {
		return f, fmt.Errorf("asking the API server for its time: %w", err)
	}
	// The reading was made somewhere within the request, and cut to whole seconds.
	took := l.parts.Now().Sub(before)
	f.server = server.Add(time.Second / 2).Sub(before.Add(took / 2))
	if f.server.Abs() <= took/2+time.Second/2 {
		f.server = 0
	}
	if a, err := l.any(ctx); err == nil {
		ahead := a.node.Time.Sub(l.parts.Now())
		f.chain = &ahead
	}
	return f, nil
}

// measurementAt is where a report of SEV-SNP holds the measurement of the guest.
const measurementAt = 0x90

// tee asks as a publisher would. Which measurement is right publishers decide; what is checked here is that there is evidence at all, that its
// chain of signatures holds, and that it names this provider. A simulator's is taken under the root that it names itself.
func (l *looker) tee(ctx context.Context) (teeFacts, error) {
	nonce := make([]byte, evidence.NonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return teeFacts{}, err
	}
	var answer *keeperv1.EvidenceResponse
	refused := ""
	err := l.insist(ctx, func() (err error) {
		answer, err = l.parts.Keeper.Evidence(ctx, &keeperv1.EvidenceRequest{Nonce: nonce})
		if c := connect.CodeOf(err); c == connect.CodeInternal || c == connect.CodeInvalidArgument {
			refused, err = err.Error(), nil // it has answered
		}
		return err
	})
	switch {
	case err != nil:
		return teeFacts{}, fmt.Errorf("asking the keeper: %w", err)
	case refused != "":
		return teeFacts{refused: refused}, nil
	}
	e, err := evidence.Decode(answer.Evidence)
	if err != nil {
		return teeFacts{invalid: err}, nil //nolint:nilerr // that is the fact
	}
	var f teeFacts
	f.verified, f.invalid = evidence.Verify(answer.Evidence, nonce, l.policy(e), l.parts.Now())
	return f, nil
}

func (l *looker) policy(e evidence.Encoded) evidence.Policy {
	p := evidence.Policy{
		ChainID: l.cfg.Domain.ChainID, Contract: l.cfg.Domain.Contract, Provider: l.cfg.Provider, Peer: e.Says.Peer, Hardware: l.parts.Hardware,
	}
	var m [evidence.MeasurementSize]byte
	if len(e.Report) >= measurementAt+len(m) {
		copy(m[:], e.Report[measurementAt:])
	}
	if e.Kind == evidence.KindSimulator && len(e.Certs) > 0 {
		p.Simulator = &evidence.Simulator{Root: sha256.Sum256(e.Certs[len(e.Certs)-1]), ChainID: p.ChainID, Measurement: m}
	}
	p.Measurements = []evidence.Measurement{{Value: m, NotAfter: l.parts.Now().Add(time.Minute)}}
	return p
}
