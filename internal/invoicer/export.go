// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrPaper says that a line holds no voucher that the contract would take.
var ErrPaper = errors.New("not a signed voucher")

// Paper is the newest voucher of a channel, and its release if there is one, with all that it takes to submit them: whoever has it needs
// neither the cluster nor the enclave. It is no secret: whoever submits it pays the gas, and the money goes to whom the terms name.
type Paper struct {
	App string `json:"app"`
	// Name is the publisher's name for the app, for people.
	Name     string `json:"name"`
	ChainID  uint64 `json:"chain_id"`
	Contract string `json:"contract"`
	// Channel is what Terms, an encoded order.v1.Terms, make at that contract.
	Channel string  `json:"channel"`
	Terms   []byte  `json:"terms"`
	Voucher *Signed `json:"voucher,omitempty"`
	Release *Signed `json:"release,omitempty"`
}

// Signed is a signed total.
type Signed struct {
	Total     tariff.Amount `json:"total"`
	Signature []byte        `json:"signature"`
}

// Papers returns what the keeper signed for the apps that are there, by app, on each channel that is not closed for good. What is not signed by the channel's own signer is left out.
func Papers(ctx context.Context, cluster client.Reader, namespace string, d eip712.Domain) ([]Paper, error) {
	var apps v1alpha1.AppList
	if err := cluster.List(ctx, &apps, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	var papers []Paper
	for i := range apps.Items {
		app := &apps.Items[i]
		var u v1alpha1.Usage
		switch err := cluster.Get(ctx, client.ObjectKeyFromObject(app), &u); {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading the usage of %s: %w", app.Name, err)
		}
		for n, f := range u.Status.Former {
			if n < len(app.Spec.Former) && settledBefore(app.Status.Former, idOf(f.Channel)) == nil {
				papers = append(papers, paper(app, app.Spec.Former[n], papersOf{f.Voucher, f.Release}, d)...)
			}
		}
		is := v1alpha1.FormerChannel{Channel: app.Spec.Channel, Terms: app.Spec.Terms}
		if n := len(u.Status.Former); n < len(app.Spec.Former) {
			is = app.Spec.Former[n] // its successor is not followed yet
		}
		papers = append(papers, paper(app, is, papersOf{u.Status.Voucher, u.Status.Release}, d)...)
	}
	slices.SortStableFunc(papers, func(a, b Paper) int { return cmp.Compare(a.App, b.App) })
	return papers, nil
}

// papersOf are a voucher and a release as they lie in an object.
type papersOf struct{ voucher, release *v1alpha1.Voucher }

// paper is that of one channel, none if there is nothing signed on it.
func paper(app *v1alpha1.App, on v1alpha1.FormerChannel, is papersOf, d eip712.Domain) []Paper {
	p := Paper{App: app.Name, Name: app.Spec.Name, ChainID: d.ChainID, Contract: d.Contract.Hex(), Channel: on.Channel, Terms: on.Terms}
	p.Voucher, p.Release = written(is.voucher, on.Channel), written(is.release, on.Channel)
	if p = p.good(d); p.Voucher == nil && p.Release == nil {
		return nil
	}
	return []Paper{p}
}

// idOf is the zero id, which no channel has, for a text that is none.
func idOf(text string) channel.ID {
	id, err := channel.ParseID(text)
	if err != nil {
		return channel.ID{}
	}
	return id
}

// written is a voucher as it lies in an object, nil for one of another channel.
func written(v *v1alpha1.Voucher, channel string) *Signed {
	if v == nil || v.Channel != channel {
		return nil
	}
	total, err := tariff.ParseAmount(v.Total)
	if err != nil {
		return nil
	}
	return &Signed{total, v.Signature}
}

// good leaves out signatures that the contract would not take.
func (p Paper) good(d eip712.Domain) Paper {
	if _, _, err := (Paper{Terms: p.Terms, ChainID: p.ChainID, Contract: p.Contract, Channel: p.Channel, Voucher: p.Voucher}).Check(d); err != nil {
		p.Voucher = nil
	}
	if _, _, err := (Paper{Terms: p.Terms, ChainID: p.ChainID, Contract: p.Contract, Channel: p.Channel, Release: p.Release}).Check(d); err != nil {
		p.Release = nil
	}
	return p
}

// Check returns the claims that a paper holds, nil for what it does not hold, or ErrPaper if the contract would not take one.
func (p Paper) Check(d eip712.Domain) (voucher, release *Claim, err error) {
	bad := func(what string, err error) (*Claim, *Claim, error) {
		return nil, nil, fmt.Errorf("channel %.80s: %s: %w", p.Channel, what, errors.Join(ErrPaper, err))
	}
	if p.ChainID != d.ChainID || p.Contract != d.Contract.Hex() {
		return bad(fmt.Sprintf("it is of contract %.80s on chain %d", p.Contract, p.ChainID), nil)
	}
	var wire orderv1.Terms
	if err := proto.Unmarshal(p.Terms, &wire); err != nil {
		return bad("its terms", err)
	}
	terms, err := channel.FromProto(&wire)
	if err != nil {
		return bad("its terms", err)
	}
	id := terms.ID(d)
	if id.String() != p.Channel {
		return bad("its terms are of channel "+id.String(), nil)
	}
	if v := p.Voucher; v != nil {
		if err := channel.Verify(channel.Voucher{Channel: id, Total: v.Total}, d, v.Signature, terms.Signer); err != nil {
			return bad("its voucher", err)
		}
		voucher = &Claim{terms, v.Total, v.Signature}
	}
	if r := p.Release; r != nil {
		if err := channel.Verify(channel.Release{Channel: id, Total: r.Total}, d, r.Signature, terms.Signer); err != nil {
			return bad("its release", err)
		}
		release = &Claim{terms, r.Total, r.Signature}
	}
	return voucher, release, nil
}

// WritePapers writes a line of JSON for each.
func WritePapers(w io.Writer, papers []Paper) error {
	e := json.NewEncoder(w)
	for _, p := range papers {
		if err := e.Encode(p); err != nil {
			return err
		}
	}
	return nil
}

// maxLine bounds a paper's line.
const maxLine = 64 << 10

// ReadPapers reads what WritePapers wrote, in any number of files put together: of several papers of a channel the one with the highest
// totals counts. It returns ErrPaper with the number of a line that holds none.
func ReadPapers(r io.Reader) ([]Paper, error) {
	var papers []Paper
	at := map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var p Paper
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("line %d: %w: %w", n, ErrPaper, err)
		}
		i, there := at[p.Channel]
		if !there {
			at[p.Channel] = len(papers)
			papers = append(papers, p)
			continue
		}
		papers[i].Voucher = higher(papers[i].Voucher, p.Voucher)
		papers[i].Release = higher(papers[i].Release, p.Release)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPaper, err)
	}
	return papers, nil
}

func higher(a, b *Signed) *Signed {
	if a == nil || (b != nil && b.Total.Cmp(a.Total) > 0) {
		return b
	}
	return a
}
