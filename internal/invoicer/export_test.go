// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/tariff"
)

func (w *world) papers() []Paper {
	w.t.Helper()
	p, err := Papers(w.t.Context(), w.client, w.key.Namespace, w.domain)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestPapers(t *testing.T) {
	w := newWorld(t)
	if got := w.papers(); len(got) != 0 {
		t.Errorf("nothing is signed, and there is %+v", got)
	}
	forged := w.voucher(5)
	forged.Total = "6"
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = w.voucher(100), forged })
	got := w.papers()
	if len(got) != 1 || got[0].Voucher == nil || got[0].Release != nil || got[0].App != "app" {
		t.Fatalf("a voucher and a forged release are %+v", got)
	}
	var file bytes.Buffer
	if err := WritePapers(&file, got); err != nil {
		t.Fatal(err)
	}
	back, err := ReadPapers(&file)
	if err != nil {
		t.Fatal(err)
	}
	voucher, release, err := back[0].Check(w.domain)
	if err != nil || release != nil || voucher.Total.String() != "100" || voucher.Terms.ID(w.domain) != w.terms.ID(w.domain) {
		t.Errorf("after the file: %+v %+v %v", voucher, release, err)
	}
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = forged, w.release(100) })
	if got := w.papers(); len(got) != 1 || got[0].Voucher != nil || got[0].Release == nil {
		t.Errorf("a forged voucher and a release are %+v", got)
	}
}

// Whoever keeps the file can't make more of it than what was signed.
func TestAPaperThatWasChangedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = w.voucher(100), w.release(100) })
	good := w.papers()[0]
	other := newWorld(t)
	other.signs(func(s *v1alpha1.UsageStatus) { s.Voucher = other.voucher(100) })
	for what, change := range map[string]func(*Paper){
		"the chain":                      func(p *Paper) { p.ChainID++ },
		"the contract":                   func(p *Paper) { p.Contract = common.Address{7}.Hex() },
		"the channel":                    func(p *Paper) { p.Channel = common.Hash{7}.Hex() },
		"the terms":                      func(p *Paper) { p.Terms = append(bytes.Clone(p.Terms), 0x50, 1) },
		"no terms":                       func(p *Paper) { p.Terms = nil },
		"the voucher's total":            func(p *Paper) { p.Voucher = &Signed{tariff.Units(101), p.Voucher.Signature} },
		"the release's total":            func(p *Paper) { p.Release = &Signed{tariff.Units(101), p.Release.Signature} },
		"a release for a voucher":        func(p *Paper) { p.Voucher = p.Release },
		"a voucher for a release":        func(p *Paper) { p.Release = p.Voucher },
		"no signature":                   func(p *Paper) { p.Voucher = &Signed{Total: tariff.Units(100)} },
		"a voucher of another's channel": func(p *Paper) { p.Voucher = other.papers()[0].Voucher },
	} {
		p := good
		change(&p)
		if _, _, err := p.Check(w.domain); !errors.Is(err, ErrPaper) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := good.Check(w.domain); err != nil {
		t.Error(err)
	}
}

func TestReadPapers(t *testing.T) {
	line := func(channel, total string) string {
		return `{"channel":"` + channel + `","voucher":{"total":"` + total + `","signature":"AA=="}}` + "\n"
	}
	got, err := ReadPapers(strings.NewReader(line("a", "5") + "\n" + line("b", "7") + line("a", "9") + line("a", "6")))
	if err != nil || len(got) != 2 || got[0].Voucher.Total.String() != "9" || got[1].Voucher.Total.String() != "7" {
		t.Errorf("got %+v, %v", got, err)
	}
	for what, text := range map[string]string{"no JSON": "x", "no amount": line("a", "-1"), "too long": strings.Repeat("x", maxLine+1)} {
		if _, err := ReadPapers(strings.NewReader(line("b", "1") + text)); !errors.Is(err, ErrPaper) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzReadPapers(f *testing.F) {
	f.Add([]byte(`{"app":"a","chain_id":1,"contract":"0x01","channel":"0x02","terms":"AA==","voucher":{"total":"1","signature":"AA=="}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		papers, err := ReadPapers(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, p := range papers {
			if v, r, err := p.Check(domain()); err == nil && (v != nil || r != nil) {
				t.Errorf("a paper that nobody signed is good: %+v", p)
			}
		}
	})
}
