// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
)

// A terms file may come from anybody: what is read from it is the channel that its terms hash to.
func FuzzReadTerms(f *testing.F) {
	const word, address = "0x0000000000000000000000000000000000000000000000000000000000000001", "0x0000000000000000000000000000000000000001"
	whole := `{"channel":"` + word + `","chain_id":1337,"contract":"` + address + `","from_block":1,"terms":{"publisher":"` + address + `","app":"` + strings.Repeat("a", 52) +
		`","payout":"` + address + `","payees":[{"account":"` + address + `","share":1}],"signer":"` + address + `","token":"` + address + `","tariff":"` + word + `","quote":"` + word +
		`","cap":"1","window":86400,"notice":86400,"salt":"` + word + `"}}`
	for _, s := range []string{
		whole, "", "{}", "null", `{"channel":1}`, `{"channel":{}}`, `{"channel":{"id":"` + word + `","terms":"AAAA"}}`, `{"channel":{"terms":null}}`, strings.Replace(whole, `"1"`, `"-1"`, 1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := publisher.ReadTerms(content, "the file")
		if err != nil {
			if !errors.Is(err, publisher.ErrTermsFile) || fault.HintOf(err) == "" {
				t.Errorf("error %q with hint %q", err, fault.HintOf(err))
			}
			return
		}
		written, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := publisher.ReadTerms(written, "the file")
		if err != nil || again.Channel.ID != a.Channel.ID {
			t.Errorf("%s is written as %s: %v", content, written, err)
		}
	})
}

// A release comes from the provider.
func FuzzReadRelease(f *testing.F) {
	for _, s := range []string{
		`{"channel":"0x0000000000000000000000000000000000000000000000000000000000000001","total":"123","signature":"0x00"}`,
		`{"total":"1","signature":"AAAA"}`, `{"total":-1}`, "", "{}", "null", `{"signature":"0xzz"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := publisher.ReadRelease(content)
		if err != nil {
			if !errors.Is(err, publisher.ErrRelease) || fault.HintOf(err) == "" {
				t.Errorf("error %q with hint %q", err, fault.HintOf(err))
			}
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := publisher.ReadRelease(written)
		if err != nil || again.Channel != r.Channel || again.Total.Cmp(r.Total) != 0 || string(again.Signature) != string(r.Signature) {
			t.Errorf("%s is written as %s: %v", content, written, err)
		}
	})
}

// What lies in the state directory may have been changed: it is refused with a word on what to do, or is what it will be written as.
func FuzzState(f *testing.F) {
	dir := f.TempDir()
	s, err := publisher.OpenStore(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Save(&publisher.App{Name: "notes", Stage: publisher.StageApplied, Peer: publisher.Bytes("peer"), Manifest: publisher.Bytes{1, 2}}); err != nil {
		f.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "apps", "*.json"))
	if err != nil || len(files) != 1 {
		f.Fatal(files, err)
	}
	real, err := os.ReadFile(files[0])
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(real), "", "{}", "null", `{"version":1}`, `{"version":1,"name":7}`, `{"version":1,"channel":{"terms":"AAAA"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := s.Apps()
		if err != nil {
			if fault.HintOf(err) == "" {
				t.Errorf("error %q without a hint", err)
			}
			return
		}
		if _, err := json.Marshal(all[0]); len(all) != 1 || err != nil {
			t.Errorf("%d apps, %v", len(all), err)
		}
	})
}
